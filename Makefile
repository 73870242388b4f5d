# Two commands do everything from a bare clone: 'make demo' and 'make test'.
PYTHON ?= python3
BIN := .venv/bin
# torch comes first and alone, so that nothing else decides which build of it is taken.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check format clean

demo: .venv/installed
	$(BIN)/insilico demo --out demo

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

clean:
	rm -rf .venv demo build dist

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "insilico needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(INSTALL) torch
	$(INSTALL) --editable '.[test,check]'
	touch $@
