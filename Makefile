# make run: everything set up, then the first study. make test: what CI runs.
PYTHON ?= python3
JOBS ?= 2
SHARED_DATA ?= ../shared/data

BIN := .venv/bin
# Named one by one: ruff would also reformat the code in docs/, where comments are lined up for readers.
CODE := tenfold tests examples benchmarks scripts
INSTALLED := .venv/.installed

.PHONY: setup run test lint format clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tenfold needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e ".[dev]"
	@touch $@

run: setup
	$(BIN)/tenfold run quickstart

# Development copies of the real data sets, where there are some: prepared once, so that the tests that need them run.
ifneq ($(wildcard $(SHARED_DATA)/.),)
test: export TENFOLD_DATA ?= $(CURDIR)/.data
test: .data/.prepared
endif

.data/.prepared: scripts/prepare_shared.py $(wildcard $(SHARED_DATA)/*.npz) | $(INSTALLED)
	$(BIN)/python scripts/prepare_shared.py $(SHARED_DATA) .data
	@touch $@

# One thread a test process: two that each use every core would be slower than one after the other.
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --doctest-modules tenfold tests

lint: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright

format: setup
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean:
	rm -rf .venv .data build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
