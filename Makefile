# Trimtab. `make demo` runs the main job on a real Kubernetes; `make test` passes every test. Both install what they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CLUSTER ?= testbed
LOAD ?= steps
SEED ?= 1
KEEP ?=
PROMETHEUS ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: help deps bed demo down test lint style drift unit cluster-tests e2e lock crds docs site browser clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

deps: $(STAMP) ## the Python environment and the command line .venv/bin/trimtab

$(STAMP): requirements/dev.txt pyproject.toml
	@bash scripts/python-env.sh $(VENV)
	@touch $@

bed: deps ## what the test bed needs: Debian packages and the Go-built control plane (cached)
	@$(PY) -m testbed deps
	@$(PY) -m testbed build

demo: deps ## the main job: CLUSTER=testbed|kind|current LOAD=steps|spiky SEED=1 KEEP=1 PROMETHEUS=URL
	@if [ "$(CLUSTER)" = testbed ]; then $(MAKE) bed; fi
	@$(PY) -m demo --cluster $(CLUSTER) --load $(LOAD) --seed $(SEED) $(if $(KEEP),--keep) $(if $(PROMETHEUS),--prometheus $(PROMETHEUS))

down: deps ## remove everything that a demo or test bed left
	@$(PY) -m demo --cluster $(CLUSTER) --down
	@if [ "$(CLUSTER)" = testbed ]; then $(PY) -m testbed down --all; fi

lint: style drift ## formatting, lint, types and layers
	@$(VENV)/bin/mypy

style: deps
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .

drift: deps ## layers, and whether what is generated agrees with its source
	@$(VENV)/bin/lint-imports
	@$(PY) -m scripts.docs --check
	@$(PY) -m scripts.dashboards --check
	@$(MAKE) site
	@$(VENV)/bin/trimtab crd --check --out crds
	@$(VENV)/bin/trimtab crd --check --out charts/trimtab/files/crds

unit: deps ## fast tests
	@$(VENV)/bin/pytest tests/unit -q

cluster-tests: bed ## tests against a real API server and a real Prometheus
	@$(VENV)/bin/pytest tests/integration -q

e2e: bed ## tests on real pods
	@$(VENV)/bin/pytest tests/e2e -q

browser: deps # a headless browser, to look at reports as people do
	@$(PY) -m testbed deps chromium

test: style drift bed browser ## everything that must pass
	@bash scripts/tests.sh $(VENV)

crds: deps ## write crds/ from the models
	@$(VENV)/bin/trimtab crd --out crds
	@$(VENV)/bin/trimtab crd --out charts/trimtab/files/crds

docs: deps ## write docs/reference.md and the dashboards from the code
	@$(PY) -m scripts.docs
	@$(PY) -m scripts.dashboards

site: deps ## the documentation as a site, in .build/site
	@mkdir -p .build && { NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build >.build/site.log 2>&1 || { cat .build/site.log >&2; exit 1; }; }

lock: deps ## pin the dependencies anew
	@$(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header pyproject.toml -o requirements/operator.txt
	@$(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements/dev.txt

clean: ## remove the environment and caches of this checkout
	@rm -rf $(VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
