# Every target sets up what it needs in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= auto
BENCH ?=
FILE ?=

.PHONY: demo test lint bench

demo: .venv/.ready-to-use
	$(BIN)/python tutorials/demo.py $(FILE)

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --maxprocesses=4

lint: .venv/.ready-to-develop
	$(BIN)/ruff check .
	$(BIN)/mypy

# make bench BENCH="--quick", BENCH="--programs atomfm schnetpack", BENCH="--help"
bench: .venv/.ready-to-develop
	$(BIN)/python benchmarks/bench.py $(BENCH)

# Always under the constraints: what is tested, and no newer torch with its CUDA libraries.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt --editable

.venv/.ready-to-use: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) ".[plots]"
	touch $@

.venv/.ready-to-develop: .venv/.ready-to-use
	$(INSTALL) ".[plots,labels,training,mpi,pyg,mace,hpo,phonons,dev]"
	touch $@
