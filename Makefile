# Every target sets up what it needs in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= auto
BENCH ?=
FILE ?=
EXECUTE ?=

.PHONY: demo test lint bench docs

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

# Pages in docs/_build/html; `make docs EXECUTE=1` also runs the tutorials, whose results are kept.
docs: .venv/.ready-to-document $(if $(EXECUTE),.venv/.ready-to-develop)
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -c docs -d docs/_build/doctrees \
		-D nb_execution_mode=$(if $(EXECUTE),cache,off) . docs/_build/html

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

.venv/.ready-to-document: .venv/.ready-to-use
	$(INSTALL) ".[plots,training,docs]"
	touch $@
