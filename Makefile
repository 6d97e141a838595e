# The contributor's interface. Every target first makes .venv fit: no root, nothing to edit by hand.
#
#   make demo     run the whole loop on this machine       make demo ARGS="--headless --seconds 60"
#   make test     run the tests                            make test ARGS="tests/edge -k outbox" WORKERS=0
#   make check    style, types, import contracts
#   make bench    benchmarks: a table, and JSON under bench-results/
#   make soak     the kill -9 harness at length (1,000 kills)
#   make setup    only the virtual environment, with everything a developer needs
#   make lock     write the lock files anew after a change of dependencies (needs the network)

PYTHON  ?= python3
VENV    := .venv
PY      := $(VENV)/bin/python
ARGS    ?=
# pytest-xdist: a file stays on one worker, so its module fixtures start once. 0 runs everything in one process.
# The slowest files come first (tests/conftest.py); pytest-xdist by itself would leave those with one test for last.
WORKERS ?= auto

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak lock clean

help:
	@sed -n 's/^# \{0,1\}//;3,9p' $(firstword $(MAKEFILE_LIST))

# --- the virtual environment -----------------------------------------------------------------------------
# Made without pip inside, because Debian's python3 has no ensurepip unless python3-venv is installed; the pip
# beside it installs into it. A stamp is newer than what it was made from, so nothing is done twice.

export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP = $(shell $(PYTHON) -m pip --version >/dev/null 2>&1 && echo $(PYTHON) -m pip || command -v pip3 || command -v pip)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "OneLot needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	    echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --without-pip $(VENV)

# One line that moves, instead of pip's hundreds; what goes wrong comes on stderr, as pip says it.
counted = if [ -t 1 ]; then awk -v all="$$(grep -c == $<)" ' \
    /^(Collecting|Requirement)/ { printf "\r\033[K  %d of %d  %s", ++n, all, $$2; fflush() } \
    /^Installing/ { printf "\r\033[K  unpacking %d libraries: the longest step", n; fflush() } \
    END { printf "\r\033[K" }'; else cat >/dev/null; fi

define install
	@test -n "$(PIP)" || { echo "No pip found for $(PYTHON). On Debian: apt install python3-pip"; exit 1; }
	@echo "Installing the libraries of $< into $(VENV) (the first time takes some minutes) ..."
	@$(PIP) --python $(PY) install --progress-bar off --require-hashes --requirement $< | $(counted)
	@$(PIP) --python $(PY) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/dev.stamp: requirements.lock pyproject.toml $(VENV)/pyvenv.cfg
	$(install)

$(VENV)/demo.stamp: requirements-demo.lock pyproject.toml $(VENV)/pyvenv.cfg
	$(install)

# A developer's environment holds everything the demo needs.
DEMO_READY := $(if $(wildcard $(VENV)/dev.stamp),$(VENV)/dev.stamp,$(VENV)/demo.stamp)

# --- what people run -------------------------------------------------------------------------------------

setup: $(VENV)/dev.stamp

demo: $(DEMO_READY)
	@$(PY) -m onelot demo $(ARGS)

test: $(VENV)/dev.stamp
	@$(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/dev.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/dev.stamp
	@$(PY) -m tests.bench $(ARGS)

soak: $(VENV)/dev.stamp
	@ONELOT_KILLS=1000 $(PY) -m pytest tests/system -m soak --timeout 0 $(ARGS)

# uv resolves for every platform and Python at once and takes the hashes from the index.
UV = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
     --no-header --no-annotate --no-emit-index-url

lock: $(VENV)/pyvenv.cfg
	@$(PY) -c 'import uv' 2>/dev/null || $(PIP) --python $(PY) install --quiet uv
	$(UV) --extra dev --output-file requirements.lock pyproject.toml
	printf 'hatchling\neditables\n' | $(UV) --extra demo --constraints requirements.lock \
	    --output-file requirements-demo.lock pyproject.toml -

clean:
	rm -rf $(VENV) build dist bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
