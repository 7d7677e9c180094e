# Everything is run from here; `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILE = uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --universal --python-version 3.11

.PHONY: help install lock
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv with the package and everything it needs
$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock:  ## write the lock files anew from pyproject.toml (needs uv)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --all-extras --allow-unsafe pyproject.toml -o requirements-dev.lock
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(COMPILE) --allow-unsafe - -o requirements-build.lock
	$(COMPILE) --group docs -o requirements-docs.lock

.PHONY: image named wheels
IMAGE ?= $(shell $(PYTHON) image/name.py)
image:  ## build the image by docker, podman or buildah (IMAGE=name, SLIM=1: without a shell, OUT=archive; image/build.sh)
	@IMAGE=$(IMAGE) PYTHON=$(PYTHON) image/build.sh

named: $(STAMP)  ## write the image's name, IMAGE=registry/team/gitintegration:tag, into what is installed
	@$(PYTHON) image/name.py $(IMAGE)
	@$(BIN)/python charts/values.py

wheels: $(STAMP)  ## whether all locked packages are to be had built for amd64 and arm64 (asks the package index)
	@$(BIN)/python image/wheels.py

.PHONY: release dist
release: $(STAMP) helm  ## commit, tag and, in dist/, archives with checksums and an SBOM (VERSION=x.y.z; WITHOUT=image)
	@$(BIN)/python -m release $(if $(WITHOUT),--without-$(WITHOUT)) $(VERSION)

dist: $(STAMP) helm  ## the archives alone, of the commit that is checked out (WITHOUT=image)
	@$(BIN)/python -m release $(if $(WITHOUT),--without-$(WITHOUT)) --dist

# A file's tests stay together, with the operator that they share; the short ones come last and fill up both processes.
# A third process brings nothing on two cores: they are busy for nine tenths of the time.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: generate verify test test-long bed forge promtool yamljudge kstatus helm testbed node test-node demo recording bench soak fuzz siege
generate: $(STAMP)  ## write CRDs and the pages of reference anew, from the models, messages and commands
	$(BIN)/python -m gitintegration.api
	$(BIN)/python -m gitintegration.commands
	$(BIN)/python charts/values.py

verify: $(STAMP)  ## format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check --quiet operator tests image charts release
	$(BIN)/ruff check --quiet operator tests image charts release
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m gitintegration.api --check
	$(BIN)/python -m gitintegration.commands --check
	$(BIN)/python charts/values.py --check

bed: $(STAMP)  ## build the control plane of the test bed, once; it is cached outside the checkout
	$(BIN)/python -m tests.bed.build
	$(BIN)/python -m tests.bed.openapi

forge: $(STAMP)  ## build the real forge that pull requests are tested on, once; minutes, cached like the bed
	$(BIN)/python -m tests.bed.forge

promtool: $(STAMP)  ## build what checks the alert rules, once; minutes, cached like the bed
	$(BIN)/python -m tests.bed.promtool

yamljudge: $(STAMP)  ## build kubectl's decoder of YAML, the judge of ours, once; cached like the bed
	$(BIN)/python -m tests.bed.yamljudge

kstatus: $(STAMP)  ## build what judges our statuses as GitOps tools do, once; cached like the bed
	$(BIN)/python -m tests.bed.kstatus

helm: $(STAMP)  ## build helm, which renders and installs the chart, once; minutes, cached like the bed
	$(BIN)/python -m tests.bed.helm

test: verify bed forge promtool yamljudge kstatus helm  ## everything: verify, unit tests, end to end on a real control plane and real git servers
	$(BIN)/pytest $(SPREAD) --durations=25

test-long: bed  ## what takes minutes and changes seldom: 100,000 files, large ones of noise, the smallest bench
	$(BIN)/pytest $(SPREAD) -m long

test-node: bed  ## the image on a real node, killed, moved and cut off while edits go both ways (in make test but for what takes minutes); tells how long edits took
	$(BIN)/python -m tests.bed.build node
	$(BIN)/pytest -s tests/node -m ""

fuzz: $(STAMP)  ## parsers of what servers, Secrets and repositories hold, with 20,000 examples each (EXAMPLES=n)
	HISTORIES=$(or $(EXAMPLES),20000) $(BIN)/pytest -n 2 tests/fuzz

siege: bed  ## all attacks on a neighbour of other namespaces, the long ones too (part of them are in make test)
	SIEGES=all $(BIN)/pytest -s tests/e2e/test_sieges.py

demo: bed  ## the main job, told step by step on real parts (KEEP=1 leaves it running)
	@$(BIN)/python -m tests.bed.demo

recording: bed  ## the picture of a terminal that README shows, anew, of what really happens on the bed
	@$(BIN)/python -m tests.bed.recording

testbed: bed  ## a control plane, a git server and the operator to play with, until Ctrl-C (CLUSTER=kubeconfig: yours)
	@$(BIN)/python -m tests.bed.testbed

node: bed  ## the same with a real node, on which the operator runs as Pods of its image (root on Debian; NODE=1 for make demo)
	@NODE=1 $(BIN)/python -m tests.bed.testbed

bench: bed  ## figures beside their floors, into docs/bench.md; an hour (ARGS="--sizes 100 --idle" for less)
	$(BIN)/python -m tests.bench $(ARGS)

soak: bed  ## half an hour of edits on both sides while everything fails (ARGS="--minutes 3 --seed 7")
	@$(BIN)/python -m tests.soak $(ARGS)

DOCS := $(VENV)/docs
.PHONY: docs docs-serve
$(DOCS)/.installed: $(STAMP) requirements-docs.lock
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

docs: $(DOCS)/.installed  ## the pages as a site, into site/; a link that leads nowhere fails
	$(DOCS)/bin/zensical build --clean --strict

docs-serve: $(DOCS)/.installed  ## the same, shown on http://localhost:8000 and built anew as pages change
	$(DOCS)/bin/zensical serve
