# The entry points of the book. `make help` lists them.

PYTHON ?= python3
PORT   ?= 8000

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready
SITE  := _build/html

.DEFAULT_GOAL := help
.PHONY: help book test bench repeat numbers serve translate clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(READY)  ## build the book: execute, write every language, notebooks, search
	@$(PY) tools/build.py
	@echo "Open it:  make serve   then http://localhost:$(PORT)/   (files: $(CURDIR)/$(SITE)/index.html)"

test: book  ## build the book, then test library, sources and site
	@$(PY) tools/browser.py --install
	@OMP_WAIT_POLICY=PASSIVE $(PY) -m pytest -n logical --maxprocesses 4 --dist worksteal

bench: $(READY)  ## compare the speed of dlip with that of other packages
	$(PY) -m pip install --disable-pip-version-check --progress-bar off -q \
	  -c requirements.txt -r benchmarks/requirements.txt
	@for script in benchmarks/*.py; do echo "$$script"; $(PY) "$$script" || exit 1; done

repeat: book  ## execute every chapter a second time and compare its text and numbers
	@$(PY) tools/repeat.py

numbers: book  ## record the numbers in the prose, after a change that is meant to change them
	@$(PY) tools/glued.py

serve: $(READY)  ## serve the built book on http://localhost:8000 (PORT=… for another port)
	@test -f $(SITE)/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	@echo "http://localhost:$(PORT)/   (stop with Ctrl-C)"
	@$(PY) -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

translate: $(READY)  ## refresh the PO files and count translated, stale and missing messages
	@$(PY) tools/translate.py

clean:  ## remove what was built; keep the environment (make clean all=1 removes it too)
	rm -rf _build conf.py
	@if [ -n "$(all)" ]; then rm -rf $(VENV) node_modules; fi

# The environment: made once, and again when what it is made from changes.
$(READY): requirements.txt pyproject.toml package.json package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "Setting up $(VENV): PyTorch is large, the first time takes minutes."
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv is missing: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	$(PY) -m pip install --disable-pip-version-check --progress-bar off -q -r requirements.txt
	$(PY) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --no-fund --no-audit --loglevel=error
	@touch $@
