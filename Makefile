# Needs Python 3.11+ (with venv) and make. Each target makes the environment it needs.
PYTHON ?= python3
CONFIG ?= configs/online_retail.yaml
MODEL ?= models:/clv@champion
ORDERS ?= data/online_retail.parquet
OUTPUT ?= forecasts.parquet
VENV := .venv
BIN := $(VENV)/bin
# two processes; a file's tests share what they made
PARALLEL := -n 2 --dist loadfile
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: train score backtest report ui check test test-slow benchmark benchmark-start benchmark-decisions benchmark-serving serve benchmark-features benchmark-accuracy benchmark-scale benchmark-training lock clean

train: $(VENV)/run.stamp ## train on CONFIG, evaluate; champion if the gate passes
	$(BIN)/clvcast train $(CONFIG)

score: $(VENV)/run.stamp ## one forecast per customer of ORDERS into OUTPUT
	$(BIN)/clvcast score --model $(MODEL) --orders $(ORDERS) --output $(OUTPUT)

backtest: $(VENV)/run.stamp ## the model and the baselines at past cutoffs
	$(BIN)/clvcast backtest $(CONFIG) --output backtest

serve: $(VENV)/run.stamp ## forecasts over HTTP at http://127.0.0.1:8000
	$(BIN)/clvcast serve --model $(MODEL)

report: $(VENV)/run.stamp $(OUTPUT) ## report.html of OUTPUT, scored first where it is not there; with ./backtest if you made it
	$(BIN)/clvcast report $(OUTPUT) --orders $(ORDERS) --config $(CONFIG) --model $(MODEL) $(if $(wildcard backtest/metrics.json),--backtest backtest) --output report.html

$(OUTPUT):
	$(MAKE) score

ui: $(VENV)/run.stamp ## MLflow's pages at http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

check: $(VENV)/dev.stamp build/types/clvcast ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/dev.stamp ## the fast tests
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" tests

test-slow: $(VENV)/dev.stamp ## the rest
	$(BIN)/python -m pytest $(PARALLEL) -m slow tests

benchmark: benchmark-start benchmark-features benchmark-decisions

benchmark-features: $(VENV)/dev.stamp ## features against DuckDB, polars and pandas; an hour or more; goes on where it was stopped
	$(BIN)/python benchmarks/features.py

benchmark-accuracy: $(VENV)/dev.stamp ## forecasts against other methods on real orders; downloads the data
	$(BIN)/python benchmarks/accuracy.py

benchmark-decisions: $(VENV)/dev.stamp ## KPIs, lists, report and page for a million customers (minutes)
	$(BIN)/python benchmarks/decisions.py

benchmark-serving: $(VENV)/dev.stamp ## one customer, REST, batch, overload; beside MLflow (minutes)
	$(BIN)/python benchmarks/serving.py

benchmark-scale: $(VENV)/dev.stamp ## what grows how with order lines: one machine, and Spark
	$(BIN)/python benchmarks/scale.py

benchmark-training: $(VENV)/dev.stamp ## training 25,000 customers at each effort, and BTYD on a million (minutes)
	$(BIN)/python benchmarks/training.py

benchmark-start: $(VENV)/run.stamp ## time and memory of train, score, import and help
	$(BIN)/python benchmarks/start.py

lock: ## resolve both lock files anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra train --extra serve pyproject.toml requirements.in -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras --group dev -c requirements.lock pyproject.toml requirements.in -o requirements-dev.lock

clean: ## remove what the targets made, not what you trained
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clvcast needs Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The lock first, hash by hash; then the project itself, which pip cannot install by hash.
$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked packages (a minute or two, once) ..."
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "import lightgbm" 2>/dev/null || { echo "LightGBM does not load: install the OpenMP runtime, package libgomp1 (Debian, Ubuntu) or libgomp (Fedora, Alpine), and call make again"; exit 1; }
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@echo "installing the locked development packages (two minutes, once) ..."
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# mypy reads the package by its name through links, for the root of the repository is the package.
build/types/clvcast:
	mkdir -p $@
	for part in __init__.py __main__.py errors.py spark.py py.typed commands configs decisions evaluation features models orders serve train atomic_files.py; do ln -sfn ../../../$$part $@/$$part; done
