# Partyline. `make run` and `make test` do all the set-up on a machine with Python 3.11+ and make.
# PYTHON=… chooses the interpreter, VENV=… the virtual environment's directory; ARGS=… goes on to
# partyline up, pytest, the benchmark or chaos.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := uv==0.13.9
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# A .venv that was copied from elsewhere, or whose Python is gone, is made anew.
FITS := $(shell grep -Fqs '$(CURDIR)/$(BIN)/python' $(BIN)/pip && $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null && echo yes)
ifneq ($(FITS),yes)
$(STAMP): always
endif

.PHONY: help install run test test-all bench chaos conformance lint format docs lock clean always

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## install what requirements.lock names into .venv (the others do it too)

run: $(STAMP) ## install, start both nodes, print where they are
	@exec $(BIN)/partyline up $(ARGS)

test: $(STAMP) ## install, run the tests (five to twelve minutes on two cores)
	@exec $(BIN)/python -m pytest $(ARGS)

test-all: $(STAMP) ## nightly: benches, chaos and harnesses as well, with many generated inputs
	@FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),10) exec $(BIN)/python -m pytest --all --hypothesis-profile=many $(ARGS)

bench: $(STAMP) ## install, start real nodes, measure them
	@exec $(BIN)/python -m bench $(ARGS)

chaos: $(STAMP) ## install, break a real pair for SECONDS=120 with SEED=1, compare all with the log
	@exec $(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),120) --seed $(or $(SEED),1) $(ARGS)

conformance: $(STAMP) ## install npm packages, run the official MCP suite and others' clients
	@$(BIN)/python -m tests.conformance $(ARGS)
	@$(BIN)/python -m tests.conformance.clients

lint: $(STAMP) ## ruff, format, types, oxlint, and the rules of the repository
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict proto serving mcp_node ws_node bench
	$(BIN)/oxlint --deny-warnings ws_node/static tests/page
	$(BIN)/python -m pytest -q -n 0 tests/test_repository.py tests/test_page_sources.py

format: $(STAMP) ## let ruff put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## write what is made from sources: docs/settings.md, the page's hidden_table.js
	$(BIN)/python -m tests.settings_page > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md
	$(BIN)/python -m tests.hidden_table > ws_node/static/app/ui/hidden_table.new
	mv ws_node/static/app/ui/hidden_table.new ws_node/static/app/ui/hidden_table.js

lock: ## write requirements.lock from pyproject.toml (UPGRADE=1: newest versions)
	@$(MAKE) --no-print-directory build/lock-venv/bin/uv
	build/lock-venv/bin/uv pip compile --no-config --quiet --universal --python-version 3.11 \
	  --generate-hashes --extra dev --extra cluster $(if $(UPGRADE),--upgrade) \
	  --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

clean: ## remove what make and the tools have made here
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

always:

$(STAMP): requirements.lock pyproject.toml
	@if [ "$(FITS)" != yes ]; then \
	  for python in $(CANDIDATES); do \
	    $$python -c '$(NEW_ENOUGH)' 2>/dev/null && break; python=; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "Partyline needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true)" >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; \
	  fi; \
	  if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python cannot make virtual environments (Debian, Ubuntu: apt install $$python-venv)" >&2; exit 1; \
	  fi; \
	  echo "make: 1/4 a virtual environment in $(VENV) with $$($$python --version) (about 5 s)"; \
	  $$python -m venv --clear $(VENV); \
	else \
	  echo "make: 1/4 the virtual environment in $(VENV) is there already"; \
	fi
	@echo "make: 2/4 the packages of requirements.lock, from the network or pip's cache (30 to 90 s)"
	@$(PIP) install --quiet --no-deps --require-hashes -r requirements.lock
	@echo "make: 3/4 Partyline itself (about 5 s)"
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@echo "make: 4/4 whether the packages fit together (about 2 s)"
	@$(PIP) check
	@touch $(STAMP)

build/lock-venv/bin/uv:
	python3 -m venv build/lock-venv
	build/lock-venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
