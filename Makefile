# Each target is complete from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: run test test-small fuzz soak faults mutants check wheel-check bench gpu-check gpu-wheels clean

run: $(VENV)/.app
	@if why=$$($(BIN)/python -m drive_seg.ui.display); then $(BIN)/python launch.py; else mkdir -p out && \
	echo "No window here ($$why), so the demo drive is timed without one and filmed: out/demo.mp4" && \
	$(BIN)/python launch.py --benchmark --max-frames 330 --output out/demo.mp4 --overwrite; fi

test: $(VENV)/.dev
	PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

# What depends on the CPU, on the smallest one that is supported: one core, without the instructions that newer ones have for int8 and bf16.
# ONEDNN_MAX_CPU_ISA holds OpenVINO and torch to AVX2, ATEN_CPU_CAPABILITY torch's own kernels; ONNX Runtime has no such switch.
test-small: $(VENV)/.dev
	PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(shell command -v taskset >/dev/null && echo taskset -c 0) \
		$(BIN)/python -m pytest tests/backends --ignore tests/backends/tensorrt tests/network/test_pipeline.py tests/bench --ignore tests/bench/gpu tests/lab/test_quantize.py

# Ten times as many damaged inputs as `make test` gives to everything that reads, other ones each time: some eight minutes of a quiet core.
fuzz: $(VENV)/.dev
	FUZZ=10 PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_fuzz.py -o faulthandler_timeout=1200

# Ten minutes: a million frames through a fake network, then the real one and a window in which everything is switched. Fails where memory,
# threads, open files or the slowest frames grow, which out/soak.json has by eighth of the run. make soak SECONDS=60 is a shorter one.
SECONDS ?= 600
soak: $(VENV)/.dev
	PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak $(SECONDS)

# What becomes of a run when a part of it raises, hangs or is slow, and after how long: the table of docs/reliability.md, in two minutes.
faults: $(VENV)/.dev
	@PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults

# Puts some 2400 faults into drive_seg/network, one after the other, and tells which of them no test in tests/network notices: half an
# hour of a quiet machine. make mutants MUTANTS='drive_seg.network.cache*' takes some; .venv/bin/mutmut show NAME shows one.
mutants: $(VENV)/.dev
	PYTHONUTF8=1 QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/mutmut run $(foreach name,$(MUTANTS),'$(name)')
	$(BIN)/mutmut results

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py

wheel-check:
	PYTHON='$(PYTHON)' .ci/wheel-check

# Fills the tables of README and docs; about twenty minutes of a quiet machine. make bench SOURCE=drive.mp4 takes another drive.
BENCHES := paced runs
bench: $(VENV)/.lab
	$(BIN)/python -m drive_seg bench $(BENCHES:%=--matrix docs/bench/%.toml) --into README.md --into docs/benchmarking.md --overwrite \
		$(if $(SOURCE),--source '$(SOURCE)')

# GPU_PYTHON=python3 takes the Python that is there, with what it has, and installs nothing: for a machine without a network.
ifdef GPU_PYTHON
gpu-check:
else
gpu-check: GPU_PYTHON = $(BIN)/python
gpu-check: $(VENV)/.gpu
endif
	$(GPU_PYTHON) -m drive_seg gpu-check $(if $(CLIP),--clip $(CLIP))

# For a machine without a network: what gpu-check needs beside numpy, OpenCV, torch, onnx, onnxruntime and cuda-bindings, as wheels (5 MB).
# There: python3 -m pip install --no-index --find-links build/gpu-wheels $(GPU_PACKAGES)
# What else is missing there is named here: make gpu-wheels GPU_PACKAGES='pydantic typer rich psutil platformdirs opencv-python-headless' (61 MB more).
GPU_PACKAGES ?= pydantic typer rich psutil platformdirs
WHEEL_PYTHON ?= 3.12
gpu-wheels: $(VENV)/bin/python
	rm -rf build/gpu-wheels
	$(BIN)/python -m pip download --quiet --constraint constraints.txt --only-binary=:all: --python-version $(WHEEL_PYTHON) \
		--implementation cp $(addprefix --platform manylinux,_2_28_x86_64 _2_17_x86_64 2014_x86_64) --dest build/gpu-wheels $(GPU_PACKAGES)
	@du -sh build/gpu-wheels

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui]'
	@touch $@

$(VENV)/.lab: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui,lab]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[ui,lab,weights,dev,tensorrt-rtx]'
	@touch $@

# What cannot be installed is listed as not measured.
$(VENV)/.gpu: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[lab]'
	-$(PIP) --editable '.[tensorrt]'
	-$(PIP) --editable '.[tensorrt-rtx]'
	@touch $@

clean:
	rm -rf $(VENV) out build
