# Two commands do everything on a fresh machine: `make bench` and `make test`.
VENV ?= .venv
# The first supported interpreter on the path; `make PYTHON=/path/to/python3.12 bench` takes another.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
endif
BIN := $(VENV)/bin
# What is installed is this folder, to be worked on; with `make WHEEL=dist/NAME.whl test` that wheel in place of it.
ifdef WHEEL
override WHEEL := $(wildcard $(WHEEL))
READY := $(VENV)/.ready-wheel
export DSLITE_TEST_WHEEL := $(abspath $(WHEEL))
else
READY := $(VENV)/.ready
endif
# Tests that run at a time; a slow one may take 5 GB of memory. `make JOBS=0 test` runs them in one process.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal --durations 20
# Tests, and the processes that they start, take what is installed, not what lies in the folder they run in.
test test-slow test-all coverage benchmarks: export PYTHONSAFEPATH := 1

.PHONY: help install bench test test-slow test-all coverage lint format benchmarks figures wheel clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY) ## make the environment alone

bench: $(READY) ## measure the paper's Table 5 on this machine (DenseNet121)
	@$(BIN)/dslite bench --backbone densenet121

test: $(READY) ## run the quick tests
	$(PYTEST) -m "not slow and not nightly"

test-slow: $(READY) ## run the slow tests that CI runs too
	$(PYTEST) -m "slow and not nightly"

test-all: $(READY) ## run all tests, the nightly ones too
	$(PYTEST)

coverage: $(READY) ## run the tests of CI, and tell which lines and branches they reach
	@mkdir -p build/coverage
	$(BIN)/python -m coverage run -m pytest --numprocesses $(JOBS) --dist worksteal -m "not nightly"
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered

lint: $(READY) ## ruff, mypy and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

benchmarks: $(READY) ## time dslite's own parts, and compare with what is stored of this kind of machine
	@mkdir -p build
	$(BIN)/python -m pytest benchmarks/suites -q -p no:xdist --benchmark-json=build/suites.json \
		--benchmark-columns=median,iqr,rounds
	$(BIN)/python benchmarks/suites_stored.py build/suites.json $(SUITES)

figures: $(READY) ## measure dslite against its aims, and the whole zoo; writes benchmarks/results/
	$(BIN)/python benchmarks/reference_path.py
	$(BIN)/python benchmarks/augmentation.py
	$(BIN)/python benchmarks/zoo.py
	$(BIN)/python benchmarks/phone.py
	$(BIN)/python benchmarks/trust.py

wheel: $(BIN)/python ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist build

# The folder and a wheel replace each other: each takes away the other's mark.
$(VENV)/.ready: pyproject.toml constraints.txt dslite/__init__.py | $(BIN)/python
	@$(call install,--editable '.[dev]')
	@rm -f $(VENV)/.ready-wheel
	@touch $@

$(VENV)/.ready-wheel: $(WHEEL) constraints.txt | $(BIN)/python
	@$(BIN)/python -m pip uninstall -qq --yes dslite
	@$(call install,'$(WHEEL)[dev]')
	@rm -f $(VENV)/.ready
	@touch $@

install = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(1)

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "dslite needs Python 3.11, 3.12 or 3.13: none was found; install one, or name it: make PYTHON=/path/to/python3.12"; \
		exit 1; fi
	@echo "making $(VENV) with $(PYTHON): this takes a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
