# `make serve` needs Python; `make test` and `make check` need Node as well.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

# Tests run in a process a core: more threads in each would wait for one another.
export OMP_NUM_THREADS ?= 1
# Where this is set, each of the hundreds of programs that tests start would compile the source anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve docs test test-fast test-all coverage check translations format lock matrix clean

serve: .venv/serving  ## Serve the embedded model at http://127.0.0.1:5000/
	$(BIN)/lorelm serve

test: .venv/development node_modules/.installed  ## Run the tests but for the slow ones, a process a core, each file in one
	npm test --silent
	$(PYTEST) -m "not slow"

test-fast: .venv/development  ## Run the tests that start no other program: under a minute
	$(PYTEST) -m "not slow and not system"

test-all: .venv/development node_modules/.installed  ## Run every test, before an issue is resolved
	npm test --silent
	$(PYTEST)

coverage: .venv/development  ## Measure how much of src/ the default tests run; fail below the floor
	$(PYTEST) -m "not slow" --cov --cov-report=term --cov-report=html

check: .venv/development node_modules/.installed  ## What CI runs before the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32
	$(BIN)/mypy --platform darwin
	$(BIN)/lint-imports
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/zizmor --offline --quiet --no-progress .github
	npm run --silent check
	$(MAKE) --silent docs

docs: .venv/development  ## Build the documentation site in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --builder html --fresh-env --write-all --fail-on-warning --keep-going --quiet docs docs/_build/html

translations: .venv/development  ## Bring the message catalogues up to date with the source
	$(BIN)/python translations/update.py

format: .venv/development node_modules/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	npm run --silent format

LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --upgrade --quiet --no-annotate
LOCK_IMAGE := --generate-hashes --python-version 3.13 --python-platform linux

lock: .venv/development  ## Choose the newest versions that fit pyproject.toml, and write the four lists of them
	$(LOCK) pyproject.toml --universal --python-version 3.11 --output-file requirements.txt
	$(LOCK) pyproject.toml $(LOCK_IMAGE) --constraint requirements.txt --extra redis --extra postgresql --extra otel \
		--output-file deploy/requirements.lock
	$(LOCK) deploy/build.in $(LOCK_IMAGE) --output-file deploy/build.lock
	echo 'torch; sys_platform == "none"' | $(LOCK) pyproject.toml --override - --no-emit-package torch --extra dev --universal \
		--python-version 3.11 --constraint requirements.txt --generate-hashes --output-file requirements-dev.lock

matrix: .venv/development  ## Install the wheel on each Python of this machine, and run the fast tests there
	$(BIN)/python bench/install.py --tests

clean:
	rm -rf .venv node_modules

$(BIN)/python:
	$(PYTHON) -m venv .venv

# The stamps are files in .venv, so each installation is made once and again when its list changes.
.venv/serving: $(BIN)/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/development: .venv/serving
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Tools that check the page's JavaScript; `make serve` needs no Node.
node_modules/.installed: package-lock.json package.json
	npm ci --silent
	touch $@
