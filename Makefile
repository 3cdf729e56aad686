# Everything here bootstraps itself: python3 (3.11+), make and a package registry are all it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run-installed
DEV    := $(VENV)/.dev-installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input

.PHONY: demo up test check bench format lock clean

demo: $(RUN)
	@$(BIN)/penstock demo

up: $(RUN)
	@$(BIN)/penstock dev

test: $(DEV)
	@$(BIN)/python -m pytest

check: $(DEV)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

bench: $(DEV)
	@$(BIN)/python -m benchmarks

format: $(DEV)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Hashes, and no registry address, in every lock file.
lock: $(DEV)
	cd requirements && ../$(BIN)/uv pip compile --upgrade --universal --generate-hashes --python-version 3.11 \
		--no-header --no-annotate --no-strip-extras --quiet ../pyproject.toml --group ../pyproject.toml:build -o run.txt
	cd requirements && ../$(BIN)/uv pip compile --upgrade --universal --generate-hashes --python-version 3.11 \
		--no-header --no-annotate --no-strip-extras --quiet ../pyproject.toml --group ../pyproject.toml:build --group ../pyproject.toml:dev -o dev.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "penstock: $(PYTHON) is older than Python 3.11: run make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)

$(RUN): $(VENV)/bin/python requirements/run.txt pyproject.toml
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .penstock .pytest_cache .ruff_cache .hypothesis .import_linter_cache .npm-fixtures
	find . -name __pycache__ -prune -exec rm -rf {} +
