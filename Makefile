# Everything runs in an environment of its own, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
OUT ?= out/demo

.PHONY: demo test test-long test-wheel docs lint format clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test,lint]"
	touch $@

demo: $(VENV)/installed  ## simulate, reduce and report, offline
	$(BIN)/detectorist demo --output-dir $(OUT)

test: $(VENV)/installed  ## the suite, in under 15 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

test-long: $(VENV)/installed  ## the tests that need more, and pictures of the report in out/screenshots
	DETECTORIST_SCREENSHOTS=out/screenshots $(BIN)/python -m pytest -n 0 tests/report/test_browser.py
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "long"

test-wheel: $(VENV)/installed  ## the wheel alone, without extras, in a new environment: simulate, run, report
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	bash tests/wheel.sh "$$(ls -t build/wheel/detectorist-*.whl | head -1)" $(PYTHON)

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

docs: $(VENV)/docs-installed  ## docs/_build/html: every page runs, warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -j 2 docs docs/_build/html
	@echo "open docs/_build/html/index.html"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) docs/_build out build dist .pytest_cache .ruff_cache .mypy_cache
