# Everything happens in .venv here; only the jars of Apache Kafka go elsewhere, to ~/.m2 and ~/.cache.
#   make PYTHON=/path/to/python3 install     with another Python (3.11 or newer)
#   make TORCH_INDEX=URL install             with another build of PyTorch
#   make test ARGS='-k broker -x'            with arguments for pytest
#   make test-crash ARGS='--kills 30'        for longer; --away-seconds 60 for longer outages,
#                                            --fuzz-records 500000 for more odd records
#   make bench COMPARE=old.jsonl             and say what became slower than that; or a folder
#   make tables IOA_DATA_DIR=data            with mnist.npz and other sets that lie there

python := .venv/bin/python

.PHONY: help install demo tables test test-crash bench check clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

install: ## Make .venv and install everything that the demo needs
	@scripts/install.sh all

demo: install ## Five clients, a server and a real Kafka on this machine, in about a minute
	@.venv/bin/ioa demo

tables: install ## Make the tables of experiments/results again, from the data in IOA_DATA_DIR: hours
	@.venv/bin/ioa experiment tables $(ARGS)

# Two processes, each with a broker and a database server of its own; whole files, in their order.
test: ## Run all tests
	@scripts/install.sh all,test
	@$(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-crash: ## Kill everything under load, fill disks, and count what became of every message: minutes
	@scripts/install.sh all,test
	@$(python) -m pytest tests/crash -m crash -n 2 --dist load -rP $(ARGS)

bench: ## Measure speed beside ceilings and peers, 90 minutes; ARGS=--quick for ten
	@scripts/install.sh all,test
	@$(python) -m benchmarks $(if $(COMPARE),--compare $(COMPARE)) $(ARGS)

check: ## Check style, types and which package imports which
	@scripts/install.sh all,test
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	.venv/bin/lint-imports
	$(python) -m pytest -q tests/test_import_circles.py

clean: ## Remove .venv and all that was built; the fetched jars stay
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	    .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
