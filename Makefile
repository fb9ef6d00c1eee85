# Needs Python 3.11 or newer, git and make; everything else lands in .venv and .tools.

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install --quiet

# One stamp a set of packages: a set is installed again only when pyproject.toml changed.
LOCAL := $(VENV)/.local-installed
DEV := $(VENV)/.dev-installed
# the programs that tests and benchmarks compare with, each in an environment of its own
JUDGES := dvc datacontract model-signing triton kserve mlserver mlflow openapi
JUDGED := $(JUDGES:%=$(TOOLS)/%/.installed)
DVC := $(TOOLS)/dvc/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint format type layers bench docs tools wheel clean distclean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(LOCAL) ## Run the main job on real images and print its transcript
	$(BIN)/python demo/run.py

test: $(DEV) $(JUDGED) ## Run the whole test suite
	$(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist loadfile

lint: $(DEV) ## Check rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(DEV) ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

type: $(DEV) ## Check the types of src
	$(BIN)/mypy

layers: $(DEV) ## Check that imports go strictly down
	$(BIN)/lint-imports

bench: $(DEV) $(DVC) ## Run every benchmark; each prints its figures beside its peers'
	$(BIN)/python benchmarks/run.py

docs: $(DEV) ## Write docs/reference from the code
	$(BIN)/python docs/generate.py

tools: $(JUDGED) ## Install the programs that tests compare with, each in an environment of its own

wheel: $(DEV) ## Build the wheel and the source archive into dist
	$(BIN)/python -m build

clean: ## Remove what tests and builds leave behind
	rm -rf build dist demo/run .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './$(TOOLS)/*' -prune -exec rm -rf {} +

distclean: clean ## Also remove the virtual environments
	rm -rf $(VENV) $(TOOLS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "tidegate needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(LOCAL): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[local,examples]'
	@touch $@

# dependency groups need pip 25.1
$(DEV): pyproject.toml $(LOCAL)
	$(PIP_INSTALL) 'pip>=25.1'
	$(PIP_INSTALL) --group dev
	@touch $@

$(TOOLS)/dvc/.installed: WANTS := 'dvc>=3.55,<4' 'dvc-s3>=3'
$(TOOLS)/datacontract/.installed: WANTS := 'datacontract-cli>=1.2,<2'
$(TOOLS)/model-signing/.installed: WANTS := 'model-signing>=1.1,<2' 'pyopenssl>=24' 'securesystemslib[crypto]>=1'
$(TOOLS)/triton/.installed: WANTS := 'tritonclient[http,grpc]>=2.52,<3'
$(TOOLS)/kserve/.installed: WANTS := 'kserve>=0.15,<1'
$(TOOLS)/mlserver/.installed: WANTS := 'mlserver>=1.6,<2'
$(TOOLS)/mlflow/.installed: WANTS := 'mlflow-skinny>=3,<4' pandas scipy
$(TOOLS)/openapi/.installed: WANTS := 'schemathesis>=4.3,<5' 'openapi-spec-validator>=0.7'

$(TOOLS)/%/.installed:
	$(PYTHON) -m venv $(TOOLS)/$*
	$(TOOLS)/$*/bin/python -m pip --disable-pip-version-check install --quiet $(WANTS)
	@touch $@
