# `make help` is the table of contents. Nothing here is needed to use the project: setup_runpod.sh is.
SHELL := /usr/bin/env bash
# The home of peoplenet_nb/paths.py; set-up puts the environment there.
export PEOPLENET_HOME := $(shell source ./setup_runpod.sh && find_home)
PYTHON := "$(PEOPLENET_HOME)/venv/bin/python"
CLI := "$(PEOPLENET_HOME)/venv/bin/peoplenet-nb"

.DEFAULT_GOAL := help
.PHONY: help setup test check lint format types pytest bench rivals notebooks demo demo-clip doctor lab constraints clean

help: ## Show this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Everything: environment, kernel, model, demo
	bash setup_runpod.sh

test: ## Everything, then every check; what CI runs
	bash setup_runpod.sh test

check: ## Every check, in the environment that is there
	bash setup_runpod.sh check

lint: ## Lint, notebooks included
	$(PYTHON) -m ruff check .

format: ## Format and mend what can be mended, notebooks included; strip notebooks of output
	$(PYTHON) -m ruff check --fix-only .
	$(PYTHON) -m ruff format .
	shopt -s nullglob; for notebook in notebooks/*.ipynb; do $(PYTHON) -m nbstripout --keep-id "$$notebook"; done

types: ## Check the package's types
	$(PYTHON) -m mypy

pytest: ## Run the tests; make pytest ARGS='-k cluster' runs some
	$(PYTHON) -m pytest $(ARGS)

bench: ## Run every measurement in benchmarks/; most want PEOPLENET_SHARED
	set -e; for script in $(filter-out benchmarks/side_by_side.py,$(wildcard benchmarks/*.py)); do \
	  echo "$$script"; $(PYTHON) "$$script" $(ARGS); done

rivals: ## Measure beside what users would pick instead; installs it (gigabytes) in environments of its own
	$(PYTHON) benchmarks/side_by_side.py $(ARGS)

notebooks: ## Execute every notebook as CI does
	$(PYTHON) -m pytest --nbmake notebooks $(ARGS)

demo: ## Run the main job on the demo clip
	$(CLI) demo $(ARGS)

demo-clip: ## Render the shipped demo clip anew; ARGS=--check only compares its ground truth
	$(PYTHON) -m tools.standin.render $(ARGS)

doctor: ## Report on the environment, line by line
	$(CLI) doctor

lab: ## Open JupyterLab on this checkout
	"$(PEOPLENET_HOME)/venv/bin/jupyter" lab --ServerApp.root_dir="$(CURDIR)" $(ARGS)

constraints: ## Resolve constraints/ anew; make constraints ARGS=--keep only adds what is missing
	$(PYTHON) tools/update_constraints.py $(ARGS)

clean: ## Remove caches, never models, outputs or the environment
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist "$(PEOPLENET_HOME)/cache"/{ruff,mypy,pytest}
	find peoplenet_nb tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
