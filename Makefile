# Commands of the project. `make help` lists them; all of them set up .venv first, and only when something changed.
#
# Q and ARGS reach the program as typed: `value` keeps make from expanding their dollars, the environment keeps the
# shell from reading them. PYTHON names the interpreter to build .venv from (default: the first that is new enough).

.DEFAULT_GOAL := help
.SUFFIXES:
SHELL := /bin/sh

override Q := $(value Q)
export Q
export PYTHON

PROGRAM := .venv/bin/literesearcher
BASE := .venv/.base
DEV := .venv/.dev
OUT ?= runs/example
ROLLOUTS ?= 2
ARGS ?=
TESTS ?=

# An environment that was built for another folder (a moved checkout) is built again.
ifneq ($(shell cat $(BASE) 2>/dev/null),$(CURDIR))
.PHONY: $(BASE)
endif

.PHONY: help setup research serve batch doctor test test-browser test-cluster sglang test-sglang check bench clean

help: ## List the commands.
	@echo 'make COMMAND [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'Example: make research Q="Which function of the heapq module merges several sorted inputs?"'

$(BASE): bootstrap pyproject.toml constraints.txt
	@./bootstrap base && printf '%s' '$(CURDIR)' > $@

# After the base, never beside it: `make -j` must not run two installers in one environment.
$(DEV): $(BASE)
	@./bootstrap dev && touch $@

setup: $(DEV) ## Make .venv with everything that developing needs.

research: $(BASE) ## Answer Q in the terminal (a default question when Q is empty).
	@$(PROGRAM) research --question-env Q $(ARGS)

serve: $(BASE) ## Everything in one process, on 127.0.0.1:8000.
	@$(PROGRAM) serve $(ARGS)

batch: $(BASE) ## Run data/example.jsonl; results in OUT (runs/example). Run it again to go on.
	@$(PROGRAM) batch data/example.jsonl --rollouts $(ROLLOUTS) --out '$(OUT)' $(ARGS)

doctor: $(BASE) ## Say what is configured, what answers, what is missing, and what to do.
	@$(PROGRAM) doctor $(ARGS)

test: $(DEV) ## Run the tests (TESTS=tests/unit for a part).
	@.venv/bin/python -m pytest $(TESTS) $(ARGS)

test-browser: $(DEV) ## Run the tests of the console in a real Chromium.
	@.venv/bin/python -m pytest tests/browser $(ARGS)

test-cluster: $(DEV) ## Run the tests over real Ray Serve (a quarter of an hour).
	@.venv/bin/python -m pytest tests/cluster $(ARGS)

sglang: ## Make the environment in which real SGLang runs on a CPU (three minutes, 2.5 GB, once).
	@$${PYTHON:-python3} tests/cpu_kit/environment.py install

# The environment is one for all checkouts of a user: what it tests is this one. It has Transformers too.
test-sglang: ## Run the tests over real SGLang on the CPU (LITERESEARCHER_TEST_DATA names the tokenizer's folder).
	@sglang=$$($${PYTHON:-python3} tests/cpu_kit/environment.py python) && \
		PYTHONPATH='$(CURDIR)/platform' $$sglang -m pytest tests/sglang tests/component/engine/test_transformers.py $(ARGS)

check: $(DEV) ## Lint, format check, types, order of rooms.
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: $(DEV) ## CPU seconds a turn, with LangGraph beside it where it is installed.
	@.venv/bin/python benchmarks/turn_overhead.py $(ARGS)

clean: ## Remove .venv, caches and runs/. Jobs and corpora under the data directory stay.
	rm -rf .venv runs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
