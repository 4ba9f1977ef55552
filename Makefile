PYTHON ?= python3.11
RUN := OMP_NUM_THREADS=1 .venv/bin

.PHONY: demo test lint

demo: .venv/.installed
	.venv/bin/genrl demo

test: .venv/.installed
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/pytest

lint: .venv/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
