# `make demo` and `make test` are the two commands of the README; each does all the set-up that is missing, and says what it does.
.PHONY: demo circle test check setup figures clean
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 3

demo: setup weights
	$(BIN)/python tests/benchmarks/demo.py

circle: setup $(VENV)/trainer
	$(BIN)/python tests/benchmarks/circle.py

# The suite starts Python hundreds of times, and more processes than a machine has processors: what it imports is compiled before, and
# torch computes in one thread each.
test: setup smoke-weights check
	.ci/tmux
	$(BIN)/python -m compileall -q codagent train
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

check: $(VENV)/trainer
	$(BIN)/ruff check codagent train tests
	$(BIN)/ruff format --check codagent train tests
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(VENV)/installed
	.ci/engine
	$(BIN)/codagent sandbox build python

weights: $(VENV)/installed
	$(BIN)/codagent models pull qwen2.5-coder-1.5b

smoke-weights: $(VENV)/installed
	$(BIN)/codagent models pull smollm2-135m

$(VENV)/installed: pyproject.toml
	@echo "setup: installing codagent and its development tools into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@

# The release of torch whose wheel for Python 3.11 runs on a CPU alone; a later one may bring gigabytes for GPUs.
$(VENV)/trainer: $(VENV)/installed
	@echo "setup: installing the trainer's packages into $(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	@touch $@

clean:
	rm -rf $(VENV)
