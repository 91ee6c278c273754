# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
BIN := .lab/venv/bin
TEST_LAB := .lab/test
TEST_HOSTS := .lab/test-colo
TEST_REAL := .lab/test-real
TEST_STOCK := .lab/test-stock
DOCS := docs
FRESH := .lab/docs
GENERATED := openapi.json samples/nova-colo.conf.sample samples/policy.yaml.sample
POLICIES := colo_dashboard/conf/default_policies.yaml

.DEFAULT_GOAL := help
# Some images set this for their own programs. Here each process would compile all that it imports, for seconds.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo demo-down test test-all quick sweep hosts-lane real-lane cloud-lane nova-lane unit simulation dashboards functional qemu cloud-simulated cloud-real lint bench docs docs-samples messages policies screenshots install venv

help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## bring up a whole OpenStack with fault tolerance on this machine, with real guests on real hypervisors
	$(PYTHON) -m lab up --hypervisor real

demo-down: ## stop it again
	$(PYTHON) -m lab down

# Run four lanes of stages in parallel: the first three wait for much of the time, the last computes at a lower priority.
# Run the stages of a lane one after the other, even after one has failed; the report at the end lists the failed ones.
HOSTS_LANE := qemu
REAL_LANE := cloud-real
CLOUD_LANE := lint docs unit simulation dashboards cloud-simulated
NOVA_LANE := functional-32 functional-33 functional-34
STAGE := $(PYTHON) tests/stage.py

# What of the tests is run. "make test-all" has no such limits.
SELECT := -m "not long"
# What breaks a lab fails every test that follows, each after its timeout: the others would tell nothing more.
LAB_TESTS := --maxfail=8
SURFACE := -m surface
HORIZONS := 25.5
NEWEST := 34

test: ## lint and documentation, then all tests but the long ones; installs what is missing, leaves nothing running
	@$(STAGE) begin
	@$(STAGE) run install $(MAKE) --no-print-directory install sweep
	@$(MAKE) --no-print-directory --jobs=4 hosts-lane real-lane cloud-lane nova-lane
	@$(STAGE) report

test-all: ## all tests, the long ones too, with all releases, then the benchmarks; takes hours
	$(MAKE) --no-print-directory test SELECT=--hypothesis-profile=long SURFACE= HORIZONS="25.5 25.7"
	$(MAKE) --no-print-directory bench

quick: lint unit simulation ## what to run at each save: ruff, mypy, codespell, and the tests that need no service

sweep: # what tests that were killed have left
	$(PYTHON) -m lab sweep

hosts-lane:
	+@for stage in $(HOSTS_LANE); do $(STAGE) run $$stage $(MAKE) --no-print-directory $$stage || true; done

real-lane:
	+@for stage in $(REAL_LANE); do $(STAGE) run $$stage $(MAKE) --no-print-directory $$stage || true; done

cloud-lane:
	+@for stage in $(CLOUD_LANE); do $(STAGE) run $$stage $(MAKE) --no-print-directory $$stage || true; done

nova-lane:
	+@for stage in $(NOVA_LANE); do $(STAGE) run --nice 5 $$stage $(MAKE) --no-print-directory $$stage || true; done

unit: venv ## the tests that need no service
	$(BIN)/python -m pytest tests/unit $(SELECT) --numprocesses=2 --dist=worksteal

simulation: venv ## the model checker: engines and agents in a cloud in which everything can fail between any two steps
	$(BIN)/python -m pytest tests/simulation $(SELECT) --numprocesses=2 --dist=worksteal

dashboards: $(HORIZONS:%=dashboard-%) ## the dashboard with older releases of Horizon; the other tests have the newest

dashboard-%:
	$(PYTHON) -m lab venv --horizon $*
	.lab/horizon-$*/bin/python -m pytest -c tests/unit/colo_dashboard/older_horizon.ini tests/unit/colo_dashboard

functional: functional-32 functional-33 functional-34 ## server side and clients with Nova's own services in one process, on each release of Nova

# Up to Nova 33 eventlet patches threads, and a worker of pytest-xdist then may never hear of its next test.
functional-%:
	$(PYTHON) -m lab venv --nova $*
	.lab/nova-$*/bin/python -m pytest tests/functional/nova $(if $(filter $(NEWEST),$*),--numprocesses=2 --dist=worksteal,$(SURFACE))

qemu: install ## the tests with real QEMU, on hosts made of network namespaces; needs root, leaves nothing running
	$(BIN)/python -m pytest tests/qemu $(SELECT) $(LAB_TESTS) --verbose; result=$$?; \
	$(BIN)/python -c 'from lab.machines import Testbed; Testbed("$(TEST_HOSTS)").down()'; exit $$result

# The tests' own lab is a fixture; should the run be cut off, the second line still leaves nothing running.
cloud-simulated: install ## the tests with a whole cloud whose guests are simulated: API, commands, browser; leaves nothing running
	$(BIN)/python -m pytest tests/functional tests/ui tests/cloud_simulated $(SELECT) $(LAB_TESTS); result=$$?; \
	$(PYTHON) -m lab down --prefix $(TEST_LAB); exit $$result

cloud-real: install ## the tests with FT servers of real Nova, Neutron, libvirt and QEMU; needs root, leaves nothing running
	$(BIN)/python -m pytest tests/cloud_real $(SELECT) $(LAB_TESTS) --verbose; result=$$?; \
	$(PYTHON) -m lab down --prefix $(TEST_REAL); $(PYTHON) -m lab down --prefix $(TEST_STOCK); exit $$result

lint: venv ## ruff, mypy and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

bench: install ## benchmarks; prints ratios against a baseline of the same run
	$(BIN)/python -m pytest tests/benchmarks -s; result=$$?; \
	$(PYTHON) -m lab down --prefix $(TEST_LAB); $(PYTHON) -m lab down --purge --prefix $(TEST_REAL); exit $$result

docs: venv ## build the documentation as HTML in docs/_build/html; a warning is an error, and so is a generated file that is out of date
	@$(MAKE) --no-print-directory docs-samples DOCS=$(FRESH)
	@for file in $(GENERATED); do diff -u docs/$$file $(FRESH)/$$file || { echo "docs/$$file is out of date: run make docs-samples"; exit 1; }; done
	$(BIN)/reno --quiet lint
	$(BIN)/sphinx-build -W --keep-going -E -q -b html docs docs/_build/html

docs-samples: venv ## generate the sample files and the API description in docs/
	mkdir -p $(DOCS)/samples
	$(BIN)/oslo-config-generator --namespace nova_colo --namespace oslo.log --namespace oslo.messaging --namespace oslo.policy \
	    --output-file $(DOCS)/samples/nova-colo.conf.sample
	$(BIN)/oslopolicy-sample-generator --namespace nova_colo --output-file $(DOCS)/samples/policy.yaml.sample
	$(BIN)/python -m nova_colo.api.openapi > $(DOCS)/openapi.json

screenshots: install ## take the pictures of the documentation again: all pages, both themes, wide and narrow
	$(BIN)/python -m tests.ui.screenshots docs/images --prefix .lab/screenshots; result=$$?; \
	$(PYTHON) -m lab down --purge --prefix .lab/screenshots; exit $$result

messages: venv ## bring the translations' sources up to date with the code; needs Debian's gettext
	PYTHONPATH=. $(BIN)/python tools/dashboard_sentences.py > colo_dashboard/sentences.py
	cd colo_dashboard && ../$(BIN)/python -m django makemessages --locale de --no-wrap --add-location file

policies: venv ## generate the default policies that the dashboard shows by
	PYTHONPATH=tests/unit/colo_dashboard DJANGO_SETTINGS_MODULE=openstack_dashboard.settings \
	    $(BIN)/python -m django dump_default_policies --namespace nova_colo.dashboard --output-file $(POLICIES)

install: # Debian packages and Python packages
	$(PYTHON) -m lab install

venv: # Python packages only
	$(PYTHON) -m lab venv
