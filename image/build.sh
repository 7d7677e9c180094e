#!/usr/bin/env bash
# Builds the image, by docker, podman or buildah, whichever is there: `make image`.
#   IMAGE=   its name (default: the one in manifests/image/kustomization.yaml)
#   BASE=    the image with Python that it is built on, or `debian`: one made of Debian's packages, which also serves where the
#            default can't be pulled
#   SLIM=1   on Debian's Python alone: no shell, no package manager; the same source and packages give the same image, by buildah
#   OUT=     an archive to write it to besides, for `ctr images import`, `kind load image-archive` and the like
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); cd "$here/.."
image=${IMAGE:?the name of the image}
base=${BASE:-python:3.11-slim}

if docker info >/dev/null 2>&1; then engine=docker
elif command -v podman >/dev/null; then engine=podman
elif command -v buildah >/dev/null; then engine=buildah
else echo "no docker, podman or buildah here: on Debian, apt-get install buildah runc" >&2; exit 1; fi

tell() { printf '%4d s  %s\n' "$SECONDS" "$1"; }
is_here() { if [ $engine = buildah ]; then buildah inspect --type image "$1"; else $engine image inspect "$1"; fi >/dev/null 2>&1; }

made_of_debian() {  # WHAT: the name of the image that debian.sh makes, made now if need be
  local name=localhost/gitintegration-$1:$(sha256sum "$here/debian.sh" | cut -c1-12)
  if ! is_here "$name"; then
    command -v mmdebstrap >/dev/null || { echo "Debian's packages are put together by mmdebstrap: apt-get install mmdebstrap" >&2; exit 1; }
    local work; work=$(mktemp -d)
    "$here/debian.sh" "$1" "$work/root.tar" >&2
    if [ $engine = buildah ]; then
      local container; container=$(buildah from scratch)
      buildah add --quiet "$container" "$work/root.tar" / >/dev/null
      buildah config --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=C.UTF-8 "$container"
      buildah commit --quiet --rm --timestamp 315532800 "$container" "$name" >/dev/null
    else
      $engine import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' --change 'ENV LANG=C.UTF-8' "$work/root.tar" "$name" >/dev/null
    fi
    rm -rf "$work"; tell "made $name" >&2
  fi
  echo "$name"
}

run=
if [ "${SLIM:-}" ]; then
  base=$(made_of_debian base) run=$(made_of_debian slim)
elif [ "$base" = debian ] || ! { is_here "$base" || timeout 300 $engine pull "$base" >/dev/null 2>&1; }; then
  [ "$base" = debian ] || echo "$base can't be pulled; building on Debian's packages" >&2
  base=$(made_of_debian base)
fi
# With its registry's part where it has none: so a kubelet looks for it, and finds what was imported
case $image in */*) full=$image;; *) full=docker.io/library/$image;; esac
options=(--build-arg "BASE=$base" --build-arg "RUN=${run:-$base}" --build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)"
  --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD 2>/dev/null || echo -dirty)"
  --build-arg "SOURCE=$(sed -n 's/^Source = "\(.*\)"/\1/p' pyproject.toml)" -t "$full")
settings=$(mktemp -d); trap 'rm -rf "$settings"' EXIT
${PYTHON:-python3} "$here/pip_settings.py" "$settings"
for file in pip.conf pip.crt; do options+=(--secret "id=$file,src=$settings/$file"); done
case $engine in
docker) build=(build) ;;
podman) build=(build --layers --pull=never --timestamp 315532800) ;;
buildah) build=(bud --layers --pull-never --timestamp 315532800 --isolation "${BUILDAH_ISOLATION:-chroot}") ;;
esac
$engine "${build[@]}" "${options[@]}" . >"$settings/log" 2>&1 || { tail -40 "$settings/log" >&2; exit 1; }
tell "built $full by $engine"
# All of it is imported in it once: what is not in the lock files, a library of the system's, may be missing
program=(python -c 'import gitintegration.process, gitintegration.commands.lint, gitintegration.commands.status, gitintegration.gateway.app, gitintegration.gateway.server')
if [ $engine = buildah ]; then
  container=$(buildah from --pull-never "$full")
  buildah run --isolation chroot "$container" -- "${program[@]}"
  buildah rm "$container" >/dev/null
  # without its history, which holds ids of this machine's intermediate images
  buildah commit --quiet --rm --omit-history --timestamp 315532800 "$(buildah from --pull-never "$full")" "$full" >/dev/null
else
  # The engines ask for limits that where they run in a container themselves can't be raised to
  limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
  $engine run --rm --network none "${limits[@]}" --entrypoint "${program[0]}" "$full" "${program[@]:1}"
fi
if [ "${OUT:-}" ]; then
  rm -f "$OUT"
  if [ $engine = buildah ]; then buildah push --quiet "$full" "docker-archive:$OUT:$full"; else $engine save -o "$OUT" "$full"; fi
  tell "written to $OUT: $(du -m "$OUT" | cut -f1) MB"
fi
if [ $engine = buildah ]; then buildah images --no-trunc --format '{{.ID}}  {{.Size}}' "$full"; else $engine images --no-trunc --format '{{.ID}}  {{.Size}}' "$full"; fi
