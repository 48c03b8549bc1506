# Every step of CI is a target here. `make` alone lists them.

VENV ?= .venv
PYTHON ?= python3
PYTEST_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The demo: North Carolina's 100 counties, the sudden infant deaths of 1979.
NAME := nc-sids-matern32-priorcvae
CONFIG := configs/$(NAME).yaml
DEMO := artifacts/runs/demo
DATA := builtin:sids2
FAMILY := poisson
FORMULA := SID79 ~ I(NWBIR79 / BIR79) + offset(log(BIR79))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-slow lint types format artifacts certificates bench-simulate constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install the package and its tools, pinned

# Bytecode is left to the first import: it halves the installation.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) must be Python 3.11 or later with its venv module (Debian: python3-venv);" \
	         "choose another with make PYTHON=..." >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt \
	  --build-constraint constraints.txt --editable . --group dev
	@touch $@

demo: setup ## Train and certify the demo's prior, fit the data, write report and map (minutes)
	rm -rf $(DEMO)
	$(BIN)/priorvae train $(CONFIG) --out $(DEMO)
	$(BIN)/priorvae infer $(DEMO)/bundle --data "$(DATA)" --formula "$(FORMULA)" \
	  --family $(FAMILY) --out $(DEMO)/fit
	@printf '\n%-7s %s\n' report $(DEMO)/report.html map $(DEMO)/fit/map.png

test: setup ## Run the tests
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

test-slow: setup ## Run the tests that take minutes, or need Stan, R or a browser
	$(BIN)/python -m pytest -m "(slow or stan or r or browser) and not gpu" $(PYTEST_ARGS)

lint: setup ## Check style, docstrings and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy priorvae $(wildcard scripts/*.py)

format: setup ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

artifacts: setup ## Rebuild the released bundle from its configuration
	rm -rf artifacts/runs/$(NAME)
	$(BIN)/priorvae train $(CONFIG) --out artifacts/runs/$(NAME)
	rm -rf artifacts/$(NAME)
	cp -r artifacts/runs/$(NAME)/bundle artifacts/$(NAME)

certificates: setup ## Train every configuration and print a table of their certificates
	JAX_ENABLE_X64=1 JAX_NUM_CPU_DEVICES=4 $(BIN)/python scripts/certificates.py \
	  artifacts/runs/certificates $(wildcard configs/*.yaml)

bench-simulate: setup ## Time the simulators against a factorisation for each draw
	$(BIN)/priorvae bench simulate $(foreach n,159 500 2000 8000 50000,--areas $(n)) \
	  --training $(CONFIG)

constraints: ## Renew constraints.txt from the newest releases
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install -qq --upgrade pip
	.venv-constraints/bin/python -m pip install -qq --no-compile . --group dev hatchling
	.venv-constraints/bin/python -m pip freeze --all --exclude priorvae --exclude setuptools \
	  | LC_ALL=C sort -f > constraints.txt
	rm -rf .venv-constraints

clean: ## Remove the environment, caches and runs
	rm -rf $(VENV) .venv-* build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache artifacts/runs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
