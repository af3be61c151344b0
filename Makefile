# Two commands for a fresh machine: `make serve` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

# OpenMP's threads that spin without end slow everything down where two processes share a core.
export GOMP_SPINCOUNT ?= 1000

.PHONY: serve test check format clean

serve: .venv/serving  ## Serve the embedded model at http://127.0.0.1:5000/
	$(BIN)/lorelm serve

test: .venv/development  ## Run all tests, a process a core, each file in one of them
	node --test tests/server/static/*.test.js
	$(BIN)/python -m pytest -n auto --dist loadfile

check: .venv/development node_modules/.installed  ## What CI runs before the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run --silent check

format: .venv/development node_modules/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	npm run --silent format

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
