# Each target is complete from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: run test check bench clean

run: $(VENV)/.app
	@mkdir -p out
	@if $(BIN)/python -m drive_seg.ui.display; then $(BIN)/python launch.py; \
	else $(BIN)/python launch.py --benchmark --max-frames 330 --output out/demo.mp4; fi

test: $(VENV)/.dev
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.app
	$(BIN)/python launch.py --benchmark --source demo: --max-frames 630
	$(BIN)/python launch.py --benchmark --source demo: --max-frames 630 --schedule clockwork:4

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui,lab,dev]'
	@touch $@

clean:
	rm -rf $(VENV) out build
