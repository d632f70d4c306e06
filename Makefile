# Everything a developer runs. Each target makes .venv when it is missing.
PYTHON ?= python3
# Where torch comes from, when not from the default index (the CPU build: https://download.pytorch.org/whl/cpu).
TORCH_INDEX ?=
BIN := .venv/bin
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: setup demo test test-slow check docs bench

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet $(INDEX) --constraint constraints.txt --editable '.[cluster,demo,dicom,mlflow,search]' --group dev
	touch $@

demo: setup
	$(BIN)/lesionlab demo demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 20

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 20

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

docs: setup
	$(BIN)/mkdocs build --strict

bench: setup
	for script in $(filter-out benchmarks/peers.py benchmarks/learning.py benchmarks/symmetry.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done
