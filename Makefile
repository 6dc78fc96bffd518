# One command surface. Two are all a newcomer needs: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The stamp file makes the install run again only when a pin changed.
$(VENV)/.installed: requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@echo "Installing Python packages and tools into $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## everything the other commands need (they call it themselves)

.PHONY: lock
lock: $(VENV)/.installed ## pin all dependencies anew, by name, version and hash
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header requirements/build.in -c requirements/dev.txt -o requirements/build.txt

# What users apply. Each begins with its use; a test holds it to its kustomization.
.PHONY: manifests
manifests: $(VENV)/.installed ## render manifests/install.yaml and manifests/namespace-install.yaml anew
	@for target in cluster:install namespaced:namespace-install; do \
	  source=manifests/$${target%%:*}; rendered=manifests/$${target##*:}.yaml; \
	  { cat $$source/header.txt; $(BIN)/kubectl kustomize $$source; } >$$rendered.new \
	    && mv $$rendered.new $$rendered || { rm -f $$rendered.new; exit 1; }; \
	done

.PHONY: reference
reference: $(VENV)/.installed ## write the field tables of docs/reference from the CRDs anew
	@$(BIN)/python scripts/field_reference.py

.PHONY: devcluster devcluster-down
devcluster: $(VENV)/.installed ## start a local Kubernetes and Redis, keep them, and print what to export
	@$(BIN)/python -m devcluster up --keep --redis

devcluster-down: $(VENV)/.installed ## stop what `make devcluster` started
	@$(BIN)/python -m devcluster down

.PHONY: test-node
test-node: $(VENV)/.installed ## run the shipped image and manifests on a real kubelet (Linux, root)
	@$(BIN)/python -m pytest tests/node

# The quick ones first, then all others: pytest takes a test that is named twice only once.
# For a part: make test TESTS=tests/unit; with more processes: make test JOBS=8.
TESTS ?= $(wildcard tests/repo tests/unit tests/simulation) tests
JOBS ?= 2
.PHONY: test
test: $(VENV)/.installed ## all tests that need neither root nor a cluster of yours
	@$(BIN)/python -m devcluster build
	@$(BIN)/python -m pytest -m "not node" --ignore=tests/node -n $(JOBS) --dist=worksteal $(TESTS)

# So many schedules of what is drawn by chance, of each kind, and all that is walked through.
N ?= 1000
SEED ?= 1
.PHONY: chaos
chaos: $(VENV)/.installed ## kill, cut and intrude upon retirements: make chaos N=1000 SEED=1
	@$(BIN)/python -m devcluster build
	@CHAOS=$(N) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/chaos

.PHONY: check
check: $(VENV)/.installed ## linters, types, layers, and that what is generated is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint Dockerfile
	$(BIN)/python scripts/field_reference.py --check
	$(BIN)/python -m pytest -q tests/repo

.PHONY: demo
demo: $(VENV)/.installed ## watch an old version of a queue drain and go away (KEEP=1 leaves it up)
	@$(BIN)/python -m demo
