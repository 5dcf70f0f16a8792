# Every command there is. The first call installs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA ?= ../shared/data

.PHONY: help demo test check install clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Install the locked versions into .venv

$(STAMP): requirements.lock pyproject.toml
	sh scripts/make-venv.sh $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: install  ## Reconstruct the sample capture and say where the result lies
	$(BIN)/photocast reconstruct examples/sample --out demo
	$(BIN)/photocast evaluate demo --capture examples/sample

test: check  ## Everything CI runs: lint, types, layers, tests
	PHOTOCAST_DATA=$(DATA) PYTHONWARNDEFAULTENCODING=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: install  ## Format, lint, types and import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then $(BIN)/mypy; \
	else echo 'types: skipped, they are checked against the NumPy of Python 3.11 and newer'; fi
	$(BIN)/lint-imports

clean:  ## Remove what make built
	rm -rf $(VENV) demo
