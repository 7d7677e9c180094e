# The packages, and what builds ours, are installed from lock files with hashes, by tools that stay behind: what goes on is an
# environment without pip, setuptools or a compiler, its bytecode tied to no time. `make image` says the rest: BASE and RUN may
# be other images with the same Python, RUN one without a shell.
ARG BASE=python:3.11-slim
ARG RUN=python:3.11-slim

FROM ${BASE} AS build
# pip.conf, pip.crt: how the machine that builds reaches its package index; there for these commands alone
WORKDIR /src
ENV SOURCE_DATE_EPOCH=315532800 PYTHONHASHSEED=0
RUN python -m venv /tools && python -m venv --without-pip /venv
COPY requirements.lock requirements-build.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=pip.crt,target=/etc/pip.crt \
    /tools/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock \
 && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --no-compile --only-binary=:all: --require-hashes -r requirements.lock
# The kubernetes client has a module for each kind and each API, which are imported as they are named: we name none.
RUN find /venv/lib/python3.*/site-packages/kubernetes -path '*/client/*/*.py' ! -name __init__.py -delete
# The text of the one licence that a package does not bring itself: NOTICE
RUN install -D -m 644 /usr/share/common-licenses/LGPL-2 /venv/licenses/LGPL-2
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY operator ./operator
RUN /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation -w /dist . \
 && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --no-compile --no-deps /dist/*.whl \
 && /venv/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /venv/lib

FROM ${RUN}
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title=gitintegration \
      org.opencontainers.image.description="Keeps pipeline resources and their manifests in git the same, in both directions" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=${SOURCE}
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# What came with the Python of RUN to install other things: nothing does, and there may be no shell to take it away
RUN ["python3", "-c", "import glob, os, shutil; [shutil.rmtree(p) if os.path.isdir(p) else os.remove(p) for n in ('lib/python3*/ensurepip', 'share/python-wheels', 'lib/python3*/*-packages/pip*', 'lib/python3*/*-packages/setuptools*', 'lib/python3*/*-packages/wheel*', 'lib/python3*/*-packages/_distutils_hack', 'bin/pip*', 'bin/wheel') for r in ('/usr/', '/usr/local/') for p in glob.glob(r + n)]"]
COPY --from=build /venv /venv
USER 65532:65532
ENTRYPOINT ["gitintegration"]
CMD ["run"]
