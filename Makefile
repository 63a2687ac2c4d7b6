# `make help` lists the targets. They are for maintainers; users only need setup_runpod.sh.
SHELL := /usr/bin/env bash
# The same home as in peoplenet_nb/paths.py, where set-up puts the environment.
export PEOPLENET_HOME := $(shell source ./setup_runpod.sh && find_home)
PYTHON := "$(PEOPLENET_HOME)/venv/bin/python"
UV := "$(PEOPLENET_HOME)/uv/bin/uv"
CLI := "$(PEOPLENET_HOME)/venv/bin/peoplenet-nb"

.DEFAULT_GOAL := help
.PHONY: help docs dist licences sbom setup test check lint format types pytest bench rivals notebooks demo demo-clip doctor lab constraints fuzz mutants clean

help: ## Show this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Set up everything: environment, kernel, notebooks, model, demo
	bash setup_runpod.sh

test: ## Set up everything, then run every check, as CI does
	bash setup_runpod.sh test

check: ## Run every check in the existing environment
	bash setup_runpod.sh check

lint: ## Lint, notebooks included
	$(PYTHON) -m ruff check .

format: ## Format, fix what ruff can fix, and strip the notebooks' outputs
	$(PYTHON) -m ruff check --fix-only .
	$(PYTHON) -m ruff format .
	shopt -s nullglob; for notebook in notebooks/*.ipynb; do $(PYTHON) -m nbstripout --keep-id "$$notebook"; done

types: ## Check the package's types
	$(PYTHON) -m mypy

pytest: ## Run the tests; make pytest ARGS='-k cluster' runs some
	$(PYTHON) -m pytest $(ARGS)

bench: ## Run every benchmark in benchmarks/; most need PEOPLENET_SHARED
	set -e; for script in $(filter-out benchmarks/side_by_side.py,$(wildcard benchmarks/*.py)); do \
	  echo "$$script"; $(PYTHON) "$$script" $(ARGS); done

rivals: ## Compare with alternative tools; installs them (gigabytes) into environments of their own
	$(PYTHON) benchmarks/side_by_side.py $(ARGS)

notebooks: ## Execute every notebook as CI does
	$(PYTHON) -m pytest --nbmake notebooks $(ARGS)

docs: ## Build the guide into site/, with the notebooks executed on the stand-in
	$(PYTHON) -m mkdocs build --strict

demo: ## Run the main job on the demo clip
	$(CLI) demo $(ARGS)

demo-clip: ## Render the shipped demo clip again; ARGS=--check only compares its ground truth
	$(PYTHON) -m tools.standin.render $(ARGS)

doctor: ## Check the environment, line by line
	$(CLI) doctor

lab: ## Open JupyterLab on this checkout (users work in the copies that set-up makes)
	"$(PEOPLENET_HOME)/venv/bin/jupyter" lab --ServerApp.root_dir="$(CURDIR)" $(ARGS)

dist: ## Build wheel and sdist into dist/, and check them
	rm -rf dist
	$(UV) build --quiet --out-dir dist
	$(UV) tool run twine check --strict dist/*
	$(UV) tool run check-wheel-contents dist/*.whl

licences: ## Write docs/licences.md anew, from the metadata of what set-up installed
	$(PYTHON) tools/list_licences.py

sbom: ## Write a bill of materials of the environment (CycloneDX) to dist/sbom.json
	mkdir -p dist
	$(UV) tool run --from cyclonedx-bom cyclonedx-py environment $(PYTHON) --output-file dist/sbom.json

constraints: ## Resolve constraints/ again; make constraints ARGS=--keep only adds what is missing
	$(PYTHON) tools/update_constraints.py $(ARGS)

fuzz: ## Feed tampered files to every reader, a minute each
	FUZZ_SECONDS=60 $(PYTHON) -m pytest tests/fuzz $(ARGS)

mutants: ## Change the core a token at a time and see whether its tests notice; half an hour
	"$(PEOPLENET_HOME)/uv/bin/uv" pip install --quiet --python $(PYTHON) mutmut
	nice $(PYTHON) -m mutmut run $(ARGS)
	$(PYTHON) -m mutmut results

clean: ## Remove caches; models, outputs and the environment stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist "$(PEOPLENET_HOME)/cache"/{ruff,mypy,pytest}
	find peoplenet_nb tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
