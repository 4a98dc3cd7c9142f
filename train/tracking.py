"""Tracking: a training run into MLflow, its bundle into the registry. The one module of train/ that imports mlflow."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
from filelock import FileLock, Timeout

from ..configs.schema import OPTIONAL_COLUMNS, Config
from ..errors import StoreError
from ..features import windows
from ..serve.golden import golden_rows
from ..serve.model import Model
from ..serve.scorer import FORECAST_SCHEMA
from .run import TrainingRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

__all__ = ["CHAMPION", "Registered", "track", "without_password"]

CHAMPION = "champion"
_DEFAULT_STORE = "sqlite:///mlflow.db"
_VERSION_TAG = "clvcast.model_version"
_LOCK_SECONDS = 600.0


@dataclass(frozen=True)
class Registered:
    """Where a run and its model are now."""

    uri: str
    run_id: str
    name: str
    version: str
    is_new: bool  # False: the same model was registered before


def writable_store(config: Config, tracking_uri: str | None = None) -> str:
    """The store a run goes to: the argument, else the config, else MLFLOW_TRACKING_URI, else ./mlflow.db."""
    configured = tracking_uri or config.tracking.uri
    return configured or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_STORE


def without_password(uri: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", uri)


def track(run: TrainingRun, config: Config, tracking_uri: str | None = None) -> Registered:
    """Log a run (parameters, measures, data digest, bundle), register its model, make it champion.

    An identical model is not registered twice. Raises `StoreError` where the store refuses.
    """
    uri = writable_store(config, tracking_uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise StoreError("tracking needs the train extra: pip install 'clvcast[train]'") from None
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with _locked(uri):
        try:
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment = _experiment(client, config.tracking.experiment, uri)
            with mlflow.start_run(experiment_id=experiment) as active:
                mlflow.log_params(_parameters(run, config))
                mlflow.log_metrics(_measures(run))
                mlflow.set_tag(_VERSION_TAG, run.model.version)
                mlflow.set_tag("clvcast.data_digest", run.known.digest())
                _log_rejected(run)
                version, is_new = _register(client, run.model, config.tracking.model_name)
                client.set_registered_model_alias(config.tracking.model_name, CHAMPION, version)
                return Registered(
                    uri, active.info.run_id, config.tracking.model_name, version, is_new
                )
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"the MLflow store refuses: {reason}") from None


@contextmanager
def _locked(uri: str) -> Iterator[None]:
    """One writer at a time: two processes that make the same SQLite store break each other."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    lock = FileLock(f"{uri.removeprefix('sqlite:///')}.lock")
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise StoreError(
            f"another run has been writing to {uri} for {_LOCK_SECONDS:.0f} seconds; try again later"
        ) from None
    except OSError as error:
        raise StoreError(f"the MLflow store {uri} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """The experiment's id; made with an artifact folder beside the database, where MLflow would take ./mlruns."""
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    location = None
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///")).resolve()
        location = (database.parent / "mlartifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _parameters(run: TrainingRun, config: Config) -> dict[str, Any]:
    report = run.known.report
    return {
        "cutoff": windows.shown(run.cutoff),
        "horizon_days": config.horizon_days,
        "periods": config.periods,
        "margin_rate": config.economics.margin_rate,
        "annual_discount_rate": config.economics.annual_discount_rate,
        "seed": config.seed,
        "features": len(run.model.numbers.features),
        "customers": run.known.n_customers,
        "order_lines": run.known.n_lines,
        "lines_without_customer": report.lines_without_customer,
        "lines_rejected": sum(report.rejected.values()),
        "first_order": windows.shown(windows.first_order_at(run.known)),
    }


def _measures(run: TrainingRun) -> dict[str, float]:
    if run.evaluation is None:
        return {}
    (summary,) = run.evaluation.metrics.values()
    return {
        measure if method == "clvcast" else f"{method}.{measure}": value
        for method, measures in summary["methods"].items()
        for measure, value in measures.items()
        if value is not None
    }


def _log_rejected(run: TrainingRun) -> None:
    import mlflow

    if run.known.report.rejected_lines is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rejected.parquet"
            pyarrow.parquet.write_table(run.known.report.rejected_lines, path)
            mlflow.log_artifact(str(path))


def _register(client: MlflowClient, model: Model, name: str) -> tuple[str, bool]:
    """The version of the registered model, and whether it is new."""
    import mlflow

    for known in client.search_model_versions(f"name='{name}'"):
        if known.tags.get(_VERSION_TAG) == model.version:
            return str(known.version), False
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        model.save(bundle)
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="clvcast.serve.pyfunc",
            data_path=str(bundle),
            signature=_signature(model),
            input_example=golden_rows(model.numbers.optional_columns).head(1),
            pip_requirements=["clvcast"],
        )
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    version = client.create_model_version(
        name, logged.model_uri, logged.run_id, {_VERSION_TAG: model.version}
    )
    return str(version.version), True


def _signature(model: Model) -> ModelSignature:
    """One row per customer, its orders nested; times are ISO text, for MLflow refuses nested dates."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Object, Property

    texts = ("order_id", "product_id", "category", "channel")
    optional = [
        Property(name, DataType.string if name in texts else DataType.double, required=False)
        for name in OPTIONAL_COLUMNS
        if name in model.numbers.optional_columns
    ]
    line = Object(
        [Property("ordered_at", DataType.string), Property("amount", DataType.double), *optional]
    )
    inputs = Schema(
        [
            ColSpec(DataType.string, "customer_id"),
            ColSpec(DataType.string, "cutoff"),
            ColSpec(Array(line), "orders"),
        ]
    )
    kinds = {
        "string": DataType.string,
        "int32": DataType.integer,
        "double": DataType.double,
        "timestamp[us]": DataType.datetime,
    }
    outputs = Schema([ColSpec(kinds[str(f.type)], f.name) for f in FORECAST_SCHEMA])
    return ModelSignature(inputs=inputs, outputs=outputs)
