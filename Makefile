# `make demo` and `make test` do all the set-up themselves: Python 3.11 or newer, git and make are enough.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Threads that spin while they wait slow a busy machine down tenfold.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test check fix docs

demo: .venv/demo-ready
	@$(BIN)/rs-gpt4v demo

test: .venv/test-ready
	$(BIN)/pytest --numprocesses auto --dist worksteal

check: .venv/test-ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright
	$(BIN)/lint-imports

fix: .venv/test-ready
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: .venv/test-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open build/site/index.html"

.venv/demo-ready: pyproject.toml constraints.txt
	@echo "Installing PyTorch and the rest into .venv: once, some minutes and gigabytes."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --editable ".[all]"
	@touch $@

.venv/test-ready: .venv/demo-ready
	$(INSTALL) --group dev
	touch $@
