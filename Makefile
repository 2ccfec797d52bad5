# Everything from a fresh checkout: `make demo` and `make test`. They need git, make and Python 3.10 or newer with venv;
# the rest, Node for the dashboard included, is installed into .venv. Paths are relative: make cannot handle spaces.

PYTHON ?= python3
BIN := .venv/bin
PORT ?= 6006
LOGDIR ?= runs/demo
NPM := cd frontend && PATH="$$PWD/../$(BIN):$$PATH" npm
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
REQUIREMENTS := pyproject.toml setup.py constraints.txt
FRONTEND := $(shell find frontend -type f -not -path '*/node_modules/*')
BUNDLE := tb_gradclip/plugin/static

.PHONY: help demo test soak setup check build screenshot clean

help:
	@echo "make demo        train the demo runs and look at them in TensorBoard (PORT=6006 LOGDIR=runs/demo)"
	@echo "make test        every test and check, as CI runs them"
	@echo "make soak        the tests of tests/trust and tests/offline in their long form, which takes hours"
	@echo "make setup       only install what development needs, into .venv"
	@echo "make check       lint and types, Python and front end"
	@echo "make build       build the dashboard into $(BUNDLE)"
	@echo "make screenshot  make the picture in the README again, from $(LOGDIR)"
	@echo "make clean       remove everything that was installed or built here, except the dashboard"

demo: .venv/demo.stamp
	@exec $(BIN)/python -m demo --logdir "$(LOGDIR)" --port $(PORT)

# Files come as they are listed: by the number of their tests, those with the longest would come last.
test: check .venv/browser.stamp build
	@if git rev-parse --git-dir >/dev/null 2>&1; then \
	  git diff --stat --exit-code -- $(BUNDLE) && test -z "$$(git ls-files --others -- $(BUNDLE))" || \
	  { echo "$(BUNDLE) is not what frontend/ builds to. Commit what 'make build' made."; exit 1; }; fi
	$(NPM) test
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

soak: .venv/browser.stamp
	$(BIN)/python -m pytest --long -v tests/trust tests/offline

setup: .venv/dev.stamp frontend/node_modules/.stamp .venv/browser.stamp

check: .venv/dev.stamp frontend/node_modules/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NPM) run check

build: .venv/build.stamp

screenshot: .venv/demo.stamp .venv/browser.stamp
	$(BIN)/python -m demo --no-serve --logdir "$(LOGDIR)"
	$(BIN)/python -m demo.screenshot "$(LOGDIR)"

clean:
	rm -rf .venv frontend/node_modules build *.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "Python 3.10 or newer is needed: apt-get install python3, or say where it is: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is needed: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/demo.stamp: .venv/pip.stamp $(REQUIREMENTS)
	@echo "Installing TensorBoard, PyTorch and TensorFlow into .venv; this takes some minutes the first time."
	$(INSTALL) -e '.[torch,tensorflow,demo]'
	@touch $@

.venv/dev.stamp: .venv/demo.stamp
	$(INSTALL) -e '.[dev]'
	@touch $@

.venv/browser.stamp: .venv/dev.stamp
	$(BIN)/python -m demo.browser --install
	@touch $@

frontend/node_modules/.stamp: .venv/dev.stamp frontend/package.json frontend/package-lock.json
	$(NPM) ci --no-audit --no-fund
	@touch $@

.venv/build.stamp: frontend/node_modules/.stamp $(FRONTEND)
	$(NPM) run build
	@touch $@
