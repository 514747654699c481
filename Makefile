# Two commands to begin with: `make demo` shows the loop on real flights, `make test` checks everything.
# Either makes .venv from requirements.lock when it is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PARAMS ?= params/demo.yaml
AS_OF  ?=
PARTS  ?=
UV     := uv==0.13.8
BIN    := .venv/bin
HOME_OF_RUNS = $(or $(TRIMTAB_HOME),$(CURDIR))
RUN     = $(BIN)/trimtab run $@ --params $(PARAMS) $(if $(AS_OF),--as-of $(AS_OF)) $(ARGS)

.PHONY: help setup demo test coverage lint check-types nbval lab baseline drift retrain rollback bench faults lock ui clean

help:
	@echo "make setup | demo | test | lint | lab | bench | faults"
	@echo "make baseline|drift|retrain|rollback PARAMS=params/prod.yaml [AS_OF=2013-07-01] [ARGS='--dry-run --json']"

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q lib
	@touch $@

data/flights.parquet: | setup
	$(BIN)/trimtab data flights

# The story: a first model in spring, a better one in summer, one that is refused in winter, and a step back.
demo: setup data/flights.parquet
	@$(BIN)/trimtab run baseline -p params/demo.yaml --as-of 2013-04-01
	@$(BIN)/trimtab run retrain  -p params/demo.yaml --as-of 2013-07-01
	@$(BIN)/trimtab run retrain  -p params/demo.yaml --as-of 2013-12-01 --set windows.training.last=90d \
	   --set 'triggers=[{signal: model_age, at_least: 90, severity: high}]'
	@$(BIN)/trimtab run rollback -p params/demo.yaml --as-of 2013-12-01 --by demo --why "to show how it is done"
	@echo; echo "Open these:"; ls -1t $(HOME_OF_RUNS)/runs/flight-delays/*/report.html | head -4 | tac | sed "s|^|  |"
	@echo "  $(HOME_OF_RUNS)/runs/index.html"

baseline drift retrain rollback: setup
	@$(RUN)

lab: setup data/flights.parquet
	$(BIN)/jupyter lab --notebook-dir . notebooks

# Two workers with a thread each: threads of both that wait for each other's cores would take several times as long.
# Types are checked beside the notebooks, which keep only one core busy.
test: setup data/flights.parquet lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)
	$(MAKE) --no-print-directory --jobs 2 --output-sync check-types nbval

coverage: TESTS = --cov --cov-report=term:skip-covered
coverage: test

lint: setup
	$(BIN)/ruff check .

check-types: setup
	$(BIN)/mypy

# The notebooks as a person opens them: ordinary kernels, default parameters, one after the other, in a fresh home.
nbval: setup data/flights.parquet
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	TRIMTAB_HOME=$$home $(BIN)/python -m pytest --nbval-lax --nbval-current-env --override-ini addopts= \
	  --override-ini testpaths=notebooks -q notebooks

bench: setup data/flights.parquet
	$(BIN)/python bench/run.py $(PARTS)

faults: setup
	cd tests && $(BIN)/python -m faults $(FAULTS)

lock: setup
	$(BIN)/uv pip compile --quiet --all-extras --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
	  pyproject.toml --output-file .venv/all.lock
	$(BIN)/uv pip compile --quiet --extra demo --extra dev --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --constraint .venv/all.lock pyproject.toml --output-file requirements.lock

ui: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[ui]'
	$(BIN)/mlflow ui --backend-store-uri sqlite:///.trimtab/mlflow.db --port 5000

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .coverage* build dist
