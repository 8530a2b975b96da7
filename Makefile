# make run     the five notebooks on the embedded default, into runs/demo
# make real    the same on a real language model (SmolLM2-135M, from the Python package index), into runs/smollm2
# make render  the executed notebooks of `make run`, for reading, into docs/rendered
# make test    every test that runs on a CPU
# make lab     JupyterLab on notebooks/ (in a container, as root: LAB_ARGS=--allow-root)
# make bench   the benchmarks
# make lint    ruff over code and notebooks, mypy over ftlib (the first part of make test)
# make test-lowest, make test-latest   fast tests with the oldest and the newest allowed versions, each in an environment
#              of its own; HOLD="torch==2.13.0" leaves a library at a version
# make audit   known vulnerabilities in the pinned versions (asks a public database)
# make licences   docs/LICENCES.md anew
# make wheel   a wheel with the notebooks, the default data and the recipes, into dist/
# make clean   runs and caches (not .venv; `make distclean` takes that too)

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RECIPE ?= data/recipes/demo.yaml
OUT ?= runs/demo
PYTEST_ARGS ?=
LAB_ARGS ?=

# Test files go to so many processes, each file whole to one (its fixtures are made once), with one thread each; with 0
# one process takes them all, with as many threads as there are cores.
WORKERS ?= 2
HOLD ?=
# What shows quickly whether a set of versions works: recipes, data, adapters, a training, an index, the command line.
FAST ?= tests/test_recipe.py tests/test_real_models.py tests/test_cli.py tests/data tests/stats tests/search \
	tests/core/test_lora.py tests/core/test_train.py tests/core/test_quantize.py tests/core/test_generate.py

.PHONY: run real render test lint test-lowest test-latest audit licences wheel lab bench doctor clean distclean browser

run: $(VENV)/.installed
	$(BIN)/ftlib run --recipe $(RECIPE) --out $(OUT)

# The executed notebooks, for reading.
render: run
	$(BIN)/python docs/render.py $(OUT)

real: $(VENV)/.installed models/smollm2-135m/config.json models/all-minilm-l6-v2/config.json models/smollm2-135m-own.jsonl
	$(BIN)/ftlib run --recipe data/recipes/smollm2.yaml --out runs/smollm2

models/%/config.json: | $(VENV)/.installed
	$(BIN)/ftlib models get $*

models/%-own.jsonl: | models/%/config.json
	$(BIN)/ftlib replay --recipe data/recipes/smollm2.yaml --out $@ --texts 120

test: $(VENV)/.installed-test browser lint
	$(if $(filter-out 0,$(WORKERS)),OMP_NUM_THREADS=1 )$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check ftlib tests benchmarks data setup.py
	$(BIN)/mypy

# uv resolves and installs; what it is asked for is pyproject.toml's own bounds.
test-lowest: RESOLUTION := lowest-direct
test-latest: RESOLUTION := highest
test-lowest test-latest: $(VENV)/.installed-dev
	@echo "$(HOLD)" > $(VENV)/hold.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/$@
	$(BIN)/uv pip compile --quiet --resolution $(RESOLUTION) --override $(VENV)/hold.txt --extra test pyproject.toml \
		--no-annotate --no-header --output-file $(VENV)/$@.txt
	$(BIN)/uv pip install --quiet --python $(VENV)/$@/bin/python -r $(VENV)/$@.txt
	$(VENV)/$@/bin/python -m pytest $(FAST) $(PYTEST_ARGS)

# Of the vulnerabilities it names, those in what only tests use matter less; it ends with 1 where there is any.
audit: $(VENV)/.installed-dev
	$(BIN)/uv tool run pip-audit --requirement constraints.txt --no-deps --disable-pip

licences: $(VENV)/.installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/licences.py

wheel: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

lab: $(VENV)/.installed
	$(BIN)/jupyter lab --ip=127.0.0.1 $(LAB_ARGS) notebooks

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

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,test]' -c constraints.txt
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test

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
	rm -rf runs .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
