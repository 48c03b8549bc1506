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

# The benchmark of decoders, its rivals, and the CPU seconds that each rival is given.
BENCH ?= artifacts/runs/decoders
DECODERS ?= $(wildcard configs/georgia-*.yaml)
TASK ?= configs/georgia-matern32-gatedlinear.yaml
RIVALS ?= MLPDeepRV gMLPDeepRV gMLPDeepRV-adamw
SECONDS ?= 600
SEEDS ?= 20
AREAS ?=
MAPS ?=
SIZES := own $(AREAS:%=-%)
RIVALS_STAMP := .venv-rivals/.installed
RIVAL_FILES := $(foreach r,$(RIVALS),$(foreach n,$(SIZES),$(BENCH)/rivals/$(r)$(n:own=).npz))
ONE_THREAD := env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false

# The benchmark of training steps; CERTIFY=1 also trains, maps up to LARGEST areas, until certified.
STEPS ?= configs/georgia-matern32-gatedlinear.yaml configs/georgia-matern32-priorcvae.yaml
CERTIFY ?=
LARGEST ?= 1000

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-engines demo test test-slow r-check r-bundle lint types format artifacts certificates bench-simulate bench-unseen bench-decoders bench-training bench-stan bench-seeds constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

setup-engines: $(STAMP)-engines ## Install the engines too that bundles are exported to: PyMC and Stan

$(STAMP)-engines: $(STAMP)
	$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt \
	  --editable '.[pymc,stan]'
	@touch $@

demo: setup ## Train and certify the demo's prior, fit the data, write report and map (minutes)
	rm -rf $(DEMO)
	$(BIN)/priorvae train $(CONFIG) --out $(DEMO)
	$(BIN)/priorvae infer $(DEMO)/bundle --data "$(DATA)" --formula "$(FORMULA)" \
	  --family $(FAMILY) --out $(DEMO)/fit
	@printf '\n%-7s %s\n' report $(DEMO)/report.html map $(DEMO)/fit/map.png

# Compiled without XLA's optimiser, which would take longer than it saves; the slow tests have it.
test: setup ## Run the tests
	XLA_FLAGS="$$XLA_FLAGS --xla_backend_optimization_level=0" \
	  $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

test-slow: setup ## Run the tests that take minutes, or need Stan, R or a browser
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "(slow or stan or r or browser) and not gpu" \
	  $(PYTEST_ARGS)

r-check: ## Build and check the R package; PRIORVAE_SLOW_TESTS=1 compiles and samples too
	rm -rf build/r && mkdir -p build/r
	cd build/r && R CMD build ../../r && \
	  _R_CHECK_FORCE_SUGGESTS_=false R CMD check --no-manual priorvae_*.tar.gz

r-bundle: setup ## Rebuild the bundle that comes with the R package
	rm -rf artifacts/runs/grid20 r/inst/extdata/grid20
	$(BIN)/priorvae train r/tools/grid20.yaml --out artifacts/runs/grid20
	$(BIN)/priorvae export artifacts/runs/grid20/bundle --to brms --out r/inst/extdata/grid20

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
	$(BIN)/priorvae bench decoders $(wildcard configs/*.yaml) --posterior \
	  --out artifacts/runs/certificates

bench-simulate: setup ## Time the simulators against a factorisation for each draw
	$(BIN)/priorvae bench simulate $(foreach n,159 500 2000 8000 50000,--areas $(n)) \
	  --training $(CONFIG)

bench-unseen: setup ## Leave a fifth of the areas out of training and predict them, by each piVAE (minutes)
	rm -rf artifacts/runs/unseen
	$(ONE_THREAD) JAX_ENABLE_X64=1 $(BIN)/python scripts/bench_unseen.py artifacts/runs/unseen \
	  $(wildcard configs/*-pivae*.yaml)

bench-decoders: setup $(RIVAL_FILES) ## Train Georgia's decoders and dl4bi's; one table (AREAS="500 3100")
	$(ONE_THREAD) $(BIN)/priorvae bench decoders $(DECODERS) --weighted --out $(BENCH) \
	  $(RIVAL_FILES:%=--rival %) $(AREAS:%=--areas %) $(MAPS:%=--map %)

bench-training: setup ## Time training steps on every device against a floor (AREAS="500 3100", CERTIFY=1)
	rm -rf artifacts/runs/training
	JAX_ENABLE_X64=1 $(BIN)/python scripts/bench_training.py artifacts/runs/training \
	  $(STEPS) $(AREAS:%=--areas %) $(CERTIFY:%=--certify --largest $(LARGEST))

bench-stan: setup-engines ## Sample 256 areas in Stan with a perceptron and a gated linear decoder (minutes)
	for type in deeprv gatedlinear; do \
	  test -d artifacts/runs/stan/$$type/bundle || \
	    $(BIN)/priorvae train configs/grid256-matern32-$$type.yaml --out artifacts/runs/stan/$$type || exit; \
	done
	JAX_ENABLE_X64=1 $(BIN)/python scripts/bench_stan.py \
	  artifacts/runs/stan/deeprv/bundle artifacts/runs/stan/gatedlinear/bundle

bench-seeds: setup ## Train Georgia's decoders from 20 seeds each: failures, medians, worst (SEEDS=20)
	$(ONE_THREAD) $(BIN)/priorvae bench decoders $(DECODERS) --weighted --out $(BENCH) --seeds $(SEEDS)

# A task for each size, named by its number of areas, and the draws of each recipe on it.
$(BENCH)/rivals/task.npz: | $(STAMP)
	$(BIN)/priorvae bench problem $(TASK) --out $@

$(BENCH)/rivals/task-%.npz: | $(STAMP)
	$(BIN)/priorvae bench problem $(TASK) --areas $* --out $@

define RIVAL_RULE
$(BENCH)/rivals/$(1)$(2).npz: $(BENCH)/rivals/task$(2).npz $(RIVALS_STAMP)
	$(ONE_THREAD) .venv-rivals/bin/python scripts/bench_rivals.py $$< --recipe $(1) \
	  --seconds $(SECONDS) --out $$@
endef
$(foreach r,$(RIVALS),$(foreach n,$(SIZES),$(eval $(call RIVAL_RULE,$(r),$(n:own=)))))

# Another package, which needs other versions of everything: an environment to be thrown away.
$(RIVALS_STAMP): scripts/rivals-constraints.txt
	rm -rf .venv-rivals
	$(PYTHON) -m venv .venv-rivals
	.venv-rivals/bin/python -m pip install -qq --no-compile --constraint $< 'dl4bi[cpu]==0.1.3'
	@touch $@

constraints: ## Renew constraints.txt from the newest releases
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install -qq --upgrade pip
	.venv-constraints/bin/python -m pip install -qq --no-compile '.[pymc,stan]' --group dev hatchling
	.venv-constraints/bin/python -m pip freeze --all --exclude priorvae --exclude setuptools \
	  | LC_ALL=C sort -f > constraints.txt
	rm -rf .venv-constraints

clean: ## Remove the environment, caches and runs
	rm -rf $(VENV) .venv-* build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache artifacts/runs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
