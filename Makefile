# Each target is complete from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: run test check bench gpu-check clean

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

# GPU_PYTHON=python3 takes the Python that is there, with what it has, and installs nothing: for a machine without a network.
ifdef GPU_PYTHON
gpu-check:
else
gpu-check: GPU_PYTHON = $(BIN)/python
gpu-check: $(VENV)/.gpu
endif
	$(GPU_PYTHON) -m drive_seg gpu-check $(if $(CLIP),--clip $(CLIP))

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui,lab,dev,tensorrt-rtx]'
	@touch $@

# What cannot be installed is listed as not measured.
$(VENV)/.gpu: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[lab]'
	-$(PIP) --editable '.[tensorrt]'
	-$(PIP) --editable '.[tensorrt-rtx]'
	@touch $@

clean:
	rm -rf $(VENV) out build
