# make demo   fuse the embedded phantom: volumes, a Slicer scene and a picture in demo/
# make test   the tests (make test-all: the slow ones too)
# make lint   style and types
# Each sets up .venv by itself; a second run starts at once.

PYTHON ?= python3
BIN := .venv/bin
TORCH := torch==2.13.0
READY := .venv/.ready

.PHONY: demo test test-all lint clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/medfusion demo -o demo

# Two workers of one thread each: the tests of one file stay together, since they share what they set up.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch comes first and alone, so that nothing else can choose its build; without an NVIDIA driver the CPU build is
# taken where the package index has it.
$(READY): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("MedFusion needs Python >= 3.11; this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	command -v nvidia-smi >/dev/null || $(BIN)/python -m pip install --quiet "$(TORCH)+cpu" \
		|| echo "No CPU build of $(TORCH) on the package index; taking the default build."
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[slicer,web,report,dev]"
	touch $@

clean:
	rm -rf .venv build demo
