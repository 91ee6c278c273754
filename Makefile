# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
BIN := .lab/venv/bin
TEST_LAB := .lab/test
NOVAS := 32 33 34

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test unit functional lint bench install venv

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## bring up a whole OpenStack with fault tolerance on this machine
	$(PYTHON) -m lab up

demo-down: ## stop it again
	$(PYTHON) -m lab down

# The tests' own lab is a fixture; should the run be cut off, the second line still leaves nothing running.
test: install lint unit functional ## lint, then all tests; installs what is missing, leaves nothing running
	$(BIN)/python -m pytest tests/functional tests/ui tests/stack; result=$$?; \
	$(PYTHON) -m lab down --prefix $(TEST_LAB); exit $$result

unit: venv ## the tests that need no service and take seconds
	$(BIN)/python -m pytest tests/unit

functional: ## the server side inside Nova's own services, in one process, on each release of Nova
	for nova in $(NOVAS); do $(PYTHON) -m lab venv --nova $$nova || exit 1; done
	$(MAKE) --jobs=2 --output-sync=target $(NOVAS:%=functional-%)

functional-%:
	.lab/nova-$*/bin/python -m pytest tests/functional/nova

lint: venv ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install ## benchmarks; prints ratios against a baseline of the same run
	$(BIN)/python -m pytest tests/benchmarks -s; result=$$?; \
	$(PYTHON) -m lab down --prefix $(TEST_LAB); exit $$result

install: # Debian packages and Python packages
	$(PYTHON) -m lab install

venv: # Python packages only
	$(PYTHON) -m lab venv
