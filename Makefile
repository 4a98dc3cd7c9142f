# Needs Python 3.11+ (with venv) and make. Each target makes the environment it needs.
PYTHON ?= python3
# A shop of your own: named, or described by clvcast.yaml in this folder. Else the shipped sample.
SAMPLE := configs/online_retail.yaml
CONFIG ?= $(or $(wildcard clvcast.yaml),$(SAMPLE))
OUTPUT ?= forecasts.parquet
VENV := .venv
BIN := $(VENV)/bin
# two processes; the tests of one file stay together, because they share fixtures
PARALLEL := -n 2 --dist loadfile
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The package's parts, and the folder of links that Python, mypy, pyright and editors find them through.
PARTS := $(sort $(wildcard *.py) py.typed $(patsubst %/__init__.py,%,$(wildcard */__init__.py)))
LINKS := build/editable/clvcast
LINKED := $(sort $(filter-out __pycache__,$(notdir $(wildcard $(LINKS)/*))))

# without kept bytecode each process, a command or a worker of the tests, would compile everything anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help train score nightly backtest report serve ui check wheel docs test test-slow test-oldest test-newest coverage fuzz mutate lock clean benchmark \
	benchmark-accuracy benchmark-bodies benchmark-decisions benchmark-faults benchmark-features benchmark-first-minute \
	benchmark-gate benchmark-nights benchmark-reading benchmark-scale \
	benchmark-serving benchmark-start benchmark-training benchmark-worlds

help: ## list the targets (the default)
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Variables: CONFIG (your shop; default: clvcast.yaml if it is here, else the sample), ORDERS, MODEL,"
	@echo "OUTPUT, PYTHON. Example: make train CONFIG=shop.yaml"

##@ Forecasts

train: $(VENV)/run.stamp ## train on CONFIG and evaluate; promote to champion if the gate passes
	$(BIN)/clvcast train "$(CONFIG)"

score: $(VENV)/run.stamp ## write one forecast per customer of ORDERS (or of CONFIG) to OUTPUT
	$(BIN)/clvcast score --config "$(CONFIG)" $(if $(MODEL),--model "$(MODEL)") $(if $(ORDERS),--orders "$(ORDERS)") --output "$(OUTPUT)"

# make itself ends with 2 whatever goes wrong: a scheduler that needs the status calls clvcast nightly
# and ./nightly is a folder of the code
nightly: $(VENV)/run.stamp ## check, train, score, report and monitor in one run, into ./nights
	@$(BIN)/clvcast nightly "$(CONFIG)" --output nights $(if $(filter $(SAMPLE),$(CONFIG)),--complete-until 2011-12-10); \
		status=$$?; echo "clvcast nightly: exit status $$status"; exit $$status

backtest: $(VENV)/run.stamp ## compare the model of CONFIG with the baselines at past cutoffs
	$(BIN)/clvcast backtest "$(CONFIG)" --output backtest

report: $(VENV)/run.stamp $(OUTPUT) ## write report.html about OUTPUT; includes ./backtest if it is there
	$(BIN)/clvcast report "$(OUTPUT)" --config "$(CONFIG)" --model "$(or $(MODEL),$$($(BIN)/python -m clvcast.train.registry.store_location champion "$(CONFIG)"))" $(if $(ORDERS),--orders "$(ORDERS)") $(if $(wildcard backtest/metrics.json),--backtest backtest) --output report.html

$(OUTPUT):
	$(MAKE) score

serve: $(VENV)/run.stamp ## serve forecasts over HTTP at http://127.0.0.1:8000
	$(BIN)/clvcast serve --config "$(CONFIG)" $(if $(MODEL),--model "$(MODEL)")

ui: $(VENV)/run.stamp ## show MLflow's pages at http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri "$$($(BIN)/python -m clvcast.train.registry.store_location store "$(CONFIG)")"

##@ Development

check: $(VENV)/dev.stamp ## lint, format, spelling, types (ours, and those a user sees), layers, vulnerable locks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files -z | xargs -0 $(BIN)/codespell # what a command wrote is left out
	$(BIN)/mypy
	$(BIN)/python tests/typed_pages.py
	cd tests && $(abspath $(BIN))/mypy --config-file= --strict --explicit-package-bases --ignore-missing-imports --follow-imports=silent \
		--cache-dir=../.mypy_cache/user typed_script.py ../build/typed/*.py
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python .ci/dependencies.py audit

test: $(VENV)/dev.stamp ## run the fast tests
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" tests

test-slow: $(VENV)/dev.stamp ## run the slow tests
	@# three processes on two cores: each waits a third of its time for servers, disks and kills
	$(BIN)/python -m pytest -n 3 --dist loadfile -m slow tests

# $(1): name of the environment in build/, $(2): how uv chooses among the versions that are declared,
# $(3): more options of pytest
define TEST_VERSIONS
	uv venv --quiet --clear --python "$(PYTHON)" build/$(1)
	uv pip compile --quiet --python build/$(1) --no-header $(2) --all-extras --group dev \
		pyproject.toml requirements.in -o build/$(1).txt
	uv pip sync --quiet --python build/$(1) build/$(1).txt
	uv pip install --quiet --python build/$(1) --no-deps -e .
	PYTHONPATH="$(CURDIR)/build/editable" build/$(1)/bin/python -m pytest $(PARALLEL) $(3) -m "not slow" tests
endef

test-oldest: $(LINKS) ## run the fast tests on the oldest versions that are declared (needs uv)
	@# old packages use what newer ones below them deprecate: not ours to mend
	$(call TEST_VERSIONS,oldest,--resolution lowest-direct,-W default)

test-newest: $(LINKS) ## run the fast tests on the newest versions that are declared (needs uv)
	$(call TEST_VERSIONS,newest,--upgrade)

coverage: $(VENV)/dev.stamp ## run the fast tests and print their coverage per folder
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" --cov=. --cov-report= tests
	$(BIN)/python tests/coverage_by_folder.py

docs: $(VENV)/dev.stamp ## build the documentation site into build/site; fails on any warning
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open it with: $(BIN)/python -m http.server --directory build/site"

fuzz: $(VENV)/dev.stamp ## 500 mutated bundles: refused, or the same forecasts (minutes)
	$(BIN)/python tests/fuzz_bundles.py

# SAMPLE=300 SEED=0 ONLY=evaluation
mutate: $(VENV)/dev.stamp ## plant 300 changes in the code that decides; count those the tests catch (hours)
	$(BIN)/python tests/mutate.py $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

lock: ## resolve the lock files again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra train --extra serve pyproject.toml requirements.in -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra serve -c requirements.lock pyproject.toml -o requirements-serve.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras --group dev -c requirements.lock pyproject.toml requirements.in -o requirements-dev.lock
	$(BIN)/python .ci/dependencies.py licences

wheel: $(VENV)/dev.stamp ## build dist/: the wheel, and a bill of materials (SBOM) beside it
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python .ci/dependencies.py sbom dist/clvcast.cdx.json

clean: ## remove the environment and builds; keep models and forecasts
	rm -rf $(VENV) build *.egg-info

##@ Benchmarks

benchmark: benchmark-start benchmark-features benchmark-decisions ## the three that cover most

benchmark-accuracy: $(VENV)/dev.stamp ## forecasts against other methods on real orders; downloads the data
	$(BIN)/python benchmarks/accuracy.py

benchmark-bodies: $(VENV)/dev.stamp ## what the costliest request bodies cost the server (a minute)
	$(BIN)/python benchmarks/worst_bodies.py

benchmark-decisions: $(VENV)/dev.stamp ## KPIs, lists, report and page for a million customers (minutes)
	$(BIN)/python benchmarks/decisions.py

benchmark-faults: $(VENV)/dev.stamp ## how many silent faults of exports check finds (minutes)
	$(BIN)/python benchmarks/silent_faults.py

benchmark-first-minute: $(VENV)/dev.stamp ## the first forecast, nothing compiled yet, against BASELINE (minutes)
	$(BIN)/python benchmarks/first_minute.py "$(BASELINE)"

benchmark-features: $(VENV)/dev.stamp ## features against DuckDB, polars and pandas (an hour or more; resumes)
	$(BIN)/python benchmarks/features.py

benchmark-gate: $(VENV)/dev.stamp ## how often the gate errs, in 200 simulated shops (10 minutes; resumes)
	$(BIN)/python benchmarks/gate.py

benchmark-nights: $(VENV)/dev.stamp ## thirty simulated nights with nine events (20 minutes)
	$(BIN)/python benchmarks/nights.py

benchmark-reading: $(VENV)/dev.stamp ## CPU time of reading 10 million lines, against the version in BASELINE
	$(BIN)/python benchmarks/reading.py "$(BASELINE)"

benchmark-scale: $(VENV)/dev.stamp ## time and memory against the number of order lines: one machine, and Spark
	$(BIN)/python benchmarks/scale.py

benchmark-serving: $(VENV)/dev.stamp ## one customer, REST, batch, overload; beside MLflow (minutes)
	$(BIN)/python benchmarks/serving.py

benchmark-start: $(VENV)/run.stamp ## time and memory of train, score, import and help
	$(BIN)/python benchmarks/start.py

benchmark-training: $(VENV)/dev.stamp ## the sample, 25,000 customers, BTYD on a million, against BASELINE (20 minutes)
	$(BIN)/python benchmarks/training.py "$(BASELINE)"

benchmark-worlds: $(VENV)/dev.stamp ## forecasts of simulated shops against their truth (minutes; resumes)
	$(BIN)/python benchmarks/worlds_of_truth.py

# ---- what the targets above need

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clvcast needs Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The lock first, hash by hash; then the project itself, which pip cannot install by hash. pip's own
# editable install hides the package from type checkers, so a .pth file points at the links as well.
$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python $(LINKS)
	@echo "installing the locked packages (a minute or two, once) ..."
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "clvcast.pth").write_text(str(pathlib.Path("$(LINKS)").parent.absolute()))'
	@$(BIN)/python -c "import lightgbm" 2>/dev/null || { echo "LightGBM does not load: install the OpenMP runtime, package libgomp1 (Debian, Ubuntu) or libgomp (Fedora, Alpine), and call make again"; exit 1; }
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@echo "installing the locked development packages (two minutes, once) ..."
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# Files inside a part appear by themselves. A part that is new (or gone) is linked by the next make.
ifneq ($(PARTS),$(LINKED))
.PHONY: $(LINKS)
endif
$(LINKS):
	@mkdir -p $@
	@rm -f $(addprefix $@/,$(filter-out $(PARTS),$(LINKED)))
	@ln -sfn $(addprefix ../../../,$(PARTS)) $@/
