# Everything a newcomer types. Needs Python 3.11 or newer and make; the rest goes into .venv/.
.DEFAULT_GOAL := help
SHELL := /bin/sh
TORCH := torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install

# `python3` where it is new enough, else the first newer one found.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; exit; fi; \
	done; echo python3)

# The main job: what `make search` runs after the install.
SEARCH ?= $(BIN)/nas search wired_cnn --data digits --preset smoke
PYTEST ?= $(BIN)/python -m pytest
# Three processes of one thread for two cores, since many tests wait: for a server, a signal, a cluster.
# Files stay together so that their fixtures are built once, and in the order of tests/conftest.py, which
# begins with the long ones.
PYTEST_FLAGS ?= -q -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help install install-dev browser search test check page page-check screenshots catalogue bench gpu-check soak lock audit clean

help: ## list what there is
	@sed -n 's/^\([a-z-]*\):.*## /make \1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-18s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## make .venv/ and install nas into it, Ray included

install-dev: $(VENV)/.installed-dev ## the same with the tools for tests and checks

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("error: nas needs Python 3.11 or newer, this is %d.%d; fix: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "error: $(PYTHON) cannot make environments; fix: install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@echo "making $(VENV)/ with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first and by itself: its build differs per machine (CPU, CUDA, macOS), so it is no part of
# the hashed lock, and a machine that offers a build of its own gets that one.
$(VENV)/.torch: $(VENV)/.python
	@echo "installing $(TORCH)"
	@$(PIP) $(TORCH)
	@touch $@

$(VENV)/.installed: $(VENV)/.torch requirements.lock pyproject.toml
	@echo "installing the locked dependencies"
	@$(PIP) --require-hashes --only-binary :all: -r requirements.lock
	@echo "installing nas"
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "installing the test tools"
	@$(PIP) --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

search: install ## run the main job: a Pareto front on real images in minutes
	@$(SEARCH)

# The tests of the pages need a Chromium; as root on Debian it is installed, elsewhere it is told how.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || test -n "$$NAS_CHROMIUM" || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			echo "installing Chromium for the tests of the pages"; \
			{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } >/dev/null 2>&1 \
				|| echo "Chromium could not be installed; the tests of the pages are skipped" >&2; \
		else \
			echo "no Chromium here: the tests of the pages are skipped; fix: install it (Debian: apt-get install chromium; macOS: brew install --cask chromium) or set NAS_CHROMIUM" >&2; \
		fi; }

test: install-dev browser ## run the whole test suite
	@$(PYTEST) $(PYTEST_FLAGS)

check: install-dev ## lint, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict nas
	@$(BIN)/lint-imports

# The dashboard's page. Users get it built; only a change of dashboards/page needs Node.
PAGE := dashboards/page
NPM_QUIET := --no-audit --no-fund --loglevel=error

$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package-lock.json
	@command -v npm >/dev/null 2>&1 || { echo "error: building the page needs Node 20 or newer with npm; fix: install it, or leave dashboards/built as it is" >&2; exit 2; }
	@cd $(PAGE) && npm ci $(NPM_QUIET)

page: $(PAGE)/node_modules/.package-lock.json ## build the dashboard's page into dashboards/built
	@cd $(PAGE) && npm run --silent build -- --logLevel warn

page-check: $(PAGE)/node_modules/.package-lock.json ## check that dashboards/built is what dashboards/page makes, run its tests
	@rm -rf build/page && mkdir -p build/page
	@cd $(PAGE) && NAS_PAGE_OUT=$(CURDIR)/build/page npm run --silent build -- --logLevel warn
	@diff -rq build/page dashboards/built || { echo "error: dashboards/built is not what dashboards/page makes; fix: make page, and commit it" >&2; exit 1; }
	@cd $(PAGE) && npm test --silent
	@rm -rf build/page

RUNS ?= runs
screenshots: install-dev browser ## take the pictures of docs/images: make screenshots RUN=NAME
	@test -n "$(RUN)" || { echo "error: of which run? fix: make screenshots RUN=NAME [RUNS=DIR]" >&2; exit 2; }
	@$(BIN)/python tests/screenshots.py "$(RUNS)" "$(RUN)"

catalogue: install ## write docs/catalogue.md from the registries
	@$(BIN)/nas patterns --catalogue > docs/catalogue.tmp && mv docs/catalogue.tmp docs/catalogue.md

bench: install ## measure beside a reference: make bench NAME=supernet_step
	@test -n "$(NAME)" || { echo "error: which one? fix: make bench NAME=..., one of: $(filter-out harness,$(basename $(notdir $(wildcard benchmarks/*.py))))" >&2; exit 2; }
	@test -f benchmarks/$(NAME).py || { echo "error: no benchmark '$(NAME)'; fix: one of: $(filter-out harness,$(basename $(notdir $(wildcard benchmarks/*.py))))" >&2; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py $(ARGS)

gpu-check: install ## check on a GPU what the tests hold on a processor: make gpu-check ARGS="--data cifar10.npz"
	@$(BIN)/python benchmarks/gpu_check.py --record $(ARGS)

soak: install-dev ## the whole suite with every count in full; takes hours
	@NAS_TEST_SCALE=full $(PYTEST) -q -n 2 --dist loadfile --no-loadscope-reorder -o timeout=7200

# Locks hold the hashes of every platform. torch stays out, and with it what only its CUDA builds need.
COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links
WITHOUT_TORCH = awk '/^[^ ]/ {keep = !/^(torch==|triton==|nvidia-|cuda-)/} keep'

lock: $(VENV)/.python ## resolve the dependencies anew and rewrite both locks
	@$(PIP) uv
	@echo "$(TORCH)" > $(VENV)/torch.in
	@$(COMPILE) -c $(VENV)/torch.in --extra ray --extra onnx --group build pyproject.toml > $(VENV)/all.lock
	@$(WITHOUT_TORCH) $(VENV)/all.lock > requirements.lock
	@$(COMPILE) -c requirements.lock --group dev > requirements-dev.lock

# The auditor stays out of the environment that it judges. Strict: what it cannot look up is a failure.
AUDIT := $(VENV)/audit/bin/pip-audit --strict --disable-pip --progress-spinner off

$(VENV)/audit/bin/pip-audit: $(VENV)/.python
	@$(BIN)/python -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip --disable-pip-version-check -qq install pip-audit

audit: $(VENV)/audit/bin/pip-audit ## look for known faults in all that is locked, and in torch (needs the network)
	@echo "$(TORCH)" > $(VENV)/torch.in
	@$(AUDIT) --require-hashes -r requirements.lock
	@$(AUDIT) --require-hashes -r requirements-dev.lock
	@$(AUDIT) --no-deps -r $(VENV)/torch.in

clean: ## remove the environment and caches (runs/ stays)
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
