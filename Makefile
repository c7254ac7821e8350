PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each of many processes would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-instruct docs test lint rehearsal rehearsal-instruct install clean check-python

## A real model learns to answer questions about a database; a family of small ones is raised beside it; then the report.
demo: install
	$(BIN)/chaku run recipes/demo.toml --without-missing || test -f runs/demo/left_out.json
	$(BIN)/chaku run recipes/demo-family.toml --without-missing
	$(BIN)/chaku report runs/demo --beside runs/demo-family --open

## A tiny model answers exercises and learns from those of its answers that passed (4 minutes on 2 cores).
demo-instruct: install
	$(BIN)/chaku run recipes/demo-instruct.toml --open

## The paper's claims at small scale, with controls (about half an hour on 2 cores).
rehearsal: install
	$(BIN)/chaku run recipes/rehearsal.toml --open

## Self-instruct with execution feedback, every arm, three seeds (16 minutes a seed on 2 cores).
rehearsal-instruct: install
	for seed in 1 2 3; do \
	  $(BIN)/chaku run recipes/rehearsal-instruct.toml --out runs/rehearsal-instruct-$$seed --set seed=$$seed || exit 1; \
	done
	$(BIN)/python benchmarks/instruct_arms.py runs/rehearsal-instruct-*

test: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## The documentation site, in site/: open site/index.html, or for its search `python3 -m http.server -d site`. A warning or a dead link is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(VENV)/.installed

# Debian and Ubuntu have Python without the part that makes virtual environments.
check-python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) is missing: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chaku needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments: sudo apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | check-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fast]'
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist site
