# Every target installs what it needs. `make demo` is the place to start.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NATIVE := build/native
STAMP  := $(VENV)/.installed
CLIENTS := $(VENV)/.clients

.PHONY: install native demo cluster demo-cluster cluster-down cluster-tools test test-beside test-scaling test-pure test-talking test-timed test-alone fuzz check format clean bench bench-orders bench-packing

install: $(STAMP) native

$(STAMP): pyproject.toml hatch_build.py $(wildcard */*/proto/*.proto)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

native:
	$(MAKE) --no-print-directory -j2 -C simgpu OUT=$(abspath $(NATIVE))
	$(MAKE) --no-print-directory -j2 -C hook OUT=$(abspath $(NATIVE))
	$(MAKE) --no-print-directory -C modelstore/c OUT=$(abspath $(NATIVE))

demo: install
	$(BIN)/gshare demo --report build/demo.json

# A real Kubernetes with simulated GPUs; needs root. NODES=2 makes two nodes.
NODES ?= 1
cluster: install
	$(BIN)/python -m tests.cluster.harness up --nodes $(NODES)

# The paper's eight pods on that cluster, started if need be; it stays up for more.
demo-cluster: install
	$(BIN)/python -m tests.cluster.harness up --nodes $(NODES) --if-needed
	KUBECONFIG=build/cluster/kubeconfig $(BIN)/gshare demo --cluster --report build/demo-cluster.json

cluster-down: install
	$(BIN)/python -m tests.cluster.harness down

# What the cluster is made of, built once: 15 minutes, then nothing.
cluster-tools: $(STAMP)
	$(BIN)/python -m tests.cluster.harness tools

$(CLIENTS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,clients]'
	touch $@

test: install $(CLIENTS) cluster-tools bench-clients
	sh tests/support/install-mps.sh
	sh tests/support/install-packages.sh
	$(MAKE) --no-print-directory -C hook OUT=$(abspath $(NATIVE)) test
	$(MAKE) --no-print-directory -C hook OUT=$(abspath $(NATIVE)) sanitize
	$(MAKE) --no-print-directory -k -j1 test-beside test-timed test-alone

# A cluster that scales mostly waits, and its pods have 32 times the shares of what runs beside it:
# whatever does not look at the time. What does (marker `timed`) has the machine alone.
SCALING := tests/cluster/scaling
TALKING := tests/contract tests/node

test-beside:
	$(MAKE) --no-print-directory -k -j3 test-scaling test-pure test-talking

test-scaling:
	env -u MAKEFLAGS $(BIN)/pytest $(SCALING)

test-pure:
	@mkdir -p build
	env -u MAKEFLAGS nice -n 19 $(BIN)/pytest tests/unit tests/property >build/$@.log 2>&1; \
	status=$$?; cat build/$@.log; exit $$status
	if sh hook/fuzz/install-clang.sh >/dev/null; then nice -n 19 $(MAKE) --no-print-directory fuzz FUZZ_S=5; \
	else echo "fuzz: skipped"; fi

test-talking:
	@mkdir -p build
	env -u MAKEFLAGS nice -n 5 $(BIN)/pytest -m "not timed" $(TALKING) >build/$@.log 2>&1; \
	status=$$?; cat build/$@.log; exit $$status

test-timed:
	env -u MAKEFLAGS $(BIN)/pytest -m timed $(TALKING)

test-alone:
	env -u MAKEFLAGS $(BIN)/pytest --ignore=$(SCALING) tests/cluster

# Every parser of what others write, under libFuzzer, FUZZ_S seconds each; installs clang.
FUZZ_S ?= 20
fuzz:
	$(MAKE) --no-print-directory -C hook OUT=$(abspath $(NATIVE)) FUZZ_S=$(FUZZ_S) fuzz

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format --dry-run --Werror
	$(MAKE) --no-print-directory native

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format -i

include benchmarks/Makefile.inc

bench: bench-orders bench-packing bench-extender bench-scaling bench-modelstore bench-hook bench-quota

# In how many arrival orders the paper's eight functions fit one GPU, by rule: 20 s.
bench-orders: install
	$(BIN)/python benchmarks/packing_orders.py

clean:
	rm -rf build
