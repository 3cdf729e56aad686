# Everything here bootstraps itself: python3 (3.11+), make and a package registry are all it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run-installed
DEV    := $(VENV)/.dev-installed
WORKERS ?= 4
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
SEED    ?= 7
SECONDS ?= 120

.PHONY: demo up test check audit sbom mutation bench bench-all record chaos format lock clean

demo: $(RUN)
	@$(BIN)/penstock demo

up: $(RUN)
	@$(BIN)/penstock dev

# The tests wait more than they work: more workers than processors. tests/order.py
# says which takes what; WORKERS=0 runs all one after another.
test: $(DEV)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope

check: $(DEV)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(MAKE) --no-print-directory audit sbom

# Red for a known vulnerability, never for want of an index that knows of any.
audit: $(DEV)
	@$(BIN)/python -m quality.audit

# What the product stands on, as CycloneDX, valid by its schema (cyclonedx-py looks before it writes).
sbom: $(DEV)
	@$(BIN)/python -m quality.sbom build/sbom.cdx.json

# An hour or two of one processor's time: docs/mutation.md.
mutation: $(DEV)
	@nice -n 19 $(BIN)/python -m quality.mutation

# A part of it: make bench SECTIONS="path gateway"
bench: $(DEV)
	@$(BIN)/python -m benchmarks $(SECTIONS)

bench-all: $(DEV)
	@$(BIN)/python -m benchmarks --all

# The histories of this version that later ones must replay: CONTRIBUTING.md.
record: $(DEV)
	@$(BIN)/python -m tests.record

chaos: $(DEV)
	@$(BIN)/python -m chaos --seed $(SEED) --seconds $(SECONDS)

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
	rm -rf $(VENV) .penstock .pytest_cache .ruff_cache .hypothesis .import_linter_cache build mutants .npm-fixtures .tools
	find . -name __pycache__ -prune -exec rm -rf {} +
