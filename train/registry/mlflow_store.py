"""Store: MLflow behind a few typed functions. The one module of train/ that imports mlflow.

Nothing here knows what a gate is; `registry` and `tracking` decide, this keeps. Every failure of
the store is a `StoreError` with one sentence. Only `client` calls with explicit run ids are made,
so that a program that uses MLflow itself keeps its own active run and addresses.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.addresses import format_models_command, hide_passwords
from ...errors import StoreError
from ...models.bundle import hash_bundle, save_bundle
from ...models.digests import BUNDLE_SHA256
from ...models.golden_rows import build_golden_rows
from ...models.loading import (
    find_existing_store,
    find_registry,
    silence_mlflow,
    use_store,
)
from ...models.model import TrainedModel
from ...models.registry_facts import CUTOFF
from ...models.scoring import FORECAST_SCHEMA
from ...models.store_connection import wait_for_store
from .store_location import lock_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.models import ModelSignature

__all__ = ["Store", "Version", "build_signature", "open_for_reading", "open_for_writing"]

_LONGEST_RUN = timedelta(days=1)


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    number: str
    run_id: str
    registered_at: str  # ISO, UTC
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    @classmethod
    def of(cls, entry: ModelVersion, aliases: Sequence[str]) -> Version:
        """A version as MLflow holds it, and the aliases that point at it."""
        registered_at = datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC)
        return cls(
            number=str(entry.version),
            run_id=str(entry.run_id or ""),
            registered_at=registered_at.isoformat(timespec="seconds"),
            aliases=tuple(sorted(aliases)),
            tags={str(key): str(value) for key, value in (entry.tags or {}).items()},
        )


@contextmanager
def open_for_writing(uri: str) -> Iterator[Store]:
    """The store, for one writer at a time; raises `StoreError` where it refuses.

    Two processes that make the same SQLite store at once break each other, and two trainings that
    promote at once would each be judged against a champion that is gone: a lock file beside the
    database lets one in. A server keeps its own database whole; `registry.promote` checks the rest.
    """
    registry_uri = find_registry(uri)
    with lock_store(uri), nullcontext() if registry_uri == uri else lock_store(registry_uri):
        yield _open_store(uri)


def open_for_reading(tracking_uri: str | None) -> Store:
    """A store that is there; never makes a new one."""
    return _open_store(find_existing_store(tracking_uri))


def _open_store(uri: str) -> Store:
    # MLflow prints a server's addresses to stdout, where our JSON goes
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # a server that is not there is a sentence soon, not after minutes of retries
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    try:
        silence_mlflow()
        import mlflow
    except ImportError:
        raise StoreError("tracking needs the train extra: pip install 'clvcast[train]'") from None
    registry_uri = find_registry(uri)
    for store in {uri: None, registry_uri: None}:  # one of them, where they are the same
        wait_for_store(store)
    with _translate_errors(uri):
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=registry_uri)
        return Store(uri, registry_uri, client)


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Every way in which a store fails, in a sentence."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = hide_passwords((str(error).splitlines() or [type(error).__name__])[0])
        is_full = any(phrase in str(error) for phrase in ("disk is full", "No space left"))
        mend = "; free some space and run it again" if is_full else ""
        raise StoreError(
            f"the MLflow store {hide_passwords(uri)} refuses: {reason}{mend}"
        ) from None


@dataclass(frozen=True)
class Store:
    """An open MLflow store: runs and what they hold, models, their versions, aliases and tags."""

    uri: str
    registry_uri: str  # the same, unless MLFLOW_REGISTRY_URI names another
    client: MlflowClient

    @contextmanager
    def run(
        self, experiment: str, name: str, tags: Mapping[str, str], parent: str | None = None
    ) -> Iterator[str]:
        """A run, by its id: finished at the end, failed on an error or interrupt.

        With a parent it is nested under it, in the parent's experiment.
        """
        run_tags = {"mlflow.runName": name, **tags}
        if parent is not None:
            run_tags["mlflow.parentRunId"] = parent
        with _translate_errors(self.uri):
            if parent is None:
                experiment_id = self._experiment(experiment)
            else:
                experiment_id = str(self.client.get_run(parent).info.experiment_id)
            run_id = str(self.client.create_run(experiment_id, tags=run_tags).info.run_id)
        status = "FAILED"
        try:
            yield run_id
            status = "FINISHED"
        finally:
            with _translate_errors(self.uri):
                self.client.set_terminated(run_id, status)

    def end_dead_runs(self, experiment: str) -> int:
        """End runs of ours that a kill left RUNNING, nested ones too; how many there were.

        An embedded store is locked by the one training that writes, so that every other is dead. A
        server has no lock: there, those that began more than a day ago are.
        """
        begun = datetime.now(UTC) - (
            timedelta(0) if self.uri.startswith("sqlite:///") else _LONGEST_RUN
        )
        with _translate_errors(self.uri):
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                return 0
            runs = self.client.search_runs(
                [found.experiment_id],
                f"attributes.status = 'RUNNING' AND tags.`{CUTOFF}` != ''"
                f" AND attributes.start_time <= {int(begun.timestamp() * 1000)}",
            )
            for run in runs:
                self.client.set_terminated(run.info.run_id, "KILLED")
        return len(runs)

    def find_active_run(self) -> str | None:
        """The caller's active run of MLflow, None where there is none or another store has it."""
        import mlflow
        from mlflow.exceptions import MlflowException

        active = mlflow.active_run()
        if active is None:
            return None
        with _translate_errors(self.uri):
            try:
                return str(self.client.get_run(active.info.run_id).info.run_id)
            except MlflowException:
                return None

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        with _translate_errors(self.uri):
            for key, value in tags.items():
                self.client.set_tag(run_id, key, value)

    def log(
        self,
        run_id: str,
        parameters: Mapping[str, Any] | None = None,
        measures: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        """Parameters and measures of a run, in one call."""
        from mlflow.entities import Metric, Param

        now = int(datetime.now(UTC).timestamp() * 1000)
        params = [Param(key, str(value)) for key, value in (parameters or {}).items()]
        metrics = [Metric(key, value, now, step) for key, value in (measures or {}).items()]
        with _translate_errors(self.uri):
            self.client.log_batch(run_id, metrics=metrics, params=params)

    def log_dataset(
        self, run_id: str, digest: str, source: str, profile: Mapping[str, Any]
    ) -> None:
        """The orders a run learned from, by digest and source."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name="orders",
            digest=digest[:36],  # all MLflow keeps
            source_type="clvcast.orders",
            source=json.dumps({"source": hide_passwords(source)}),
            profile=json.dumps(dict(profile)),
        )
        context = InputTag("mlflow.data.context", "training")
        with _translate_errors(self.uri):
            self.client.log_inputs(run_id, [DatasetInput(dataset, [context])])

    def log_text(self, run_id: str, text: str, path: str) -> None:
        """A text file among a run's artifacts."""
        with _translate_errors(self.uri):
            self.client.log_text(run_id, text, path)

    def log_file(self, run_id: str, file: Path) -> None:
        """A file among a run's artifacts."""
        with _translate_errors(self.uri):
            self.client.log_artifact(run_id, str(file))

    def text(self, run_id: str, path: str) -> str | None:
        """A text file of a run; None where it has none that can be read."""
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                local_path = self.client.download_artifacts(run_id, path, folder)
                return Path(local_path).read_text(encoding="utf-8")
            except (MlflowException, OSError, UnicodeDecodeError):
                return None

    def register(
        self, run_id: str, model: TrainedModel, name: str, tags: Mapping[str, str]
    ) -> Version:
        """Log a model's bundle to a run, and register it as the next version of `name`."""
        import mlflow

        with (
            tempfile.TemporaryDirectory() as folder,
            _translate_errors(self.uri),
            use_store(self.uri, self.registry_uri),
        ):
            bundle = Path(folder) / "bundle"
            save_bundle(model, bundle)
            digest = hash_bundle(bundle)
            with mlflow.start_run(run_id=run_id, nested=mlflow.active_run() is not None):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    loader_module="clvcast.serve.pyfunc",
                    data_path=str(bundle),
                    signature=build_signature(model),
                    input_example=build_golden_rows(
                        model.numbers.optional_columns, model.numbers.attributes
                    ).head(1),
                    pip_requirements=[f"clvcast=={version('clvcast')}"],
                    metadata={BUNDLE_SHA256: digest},
                )
            if self._find_model(name) is None:
                self.client.create_registered_model(name)
            created = self.client.create_model_version(
                name,
                logged.model_uri,
                run_id,
                {**tags, BUNDLE_SHA256: digest},
                model_id=logged.model_id,  # a server asks for it, the embedded store does not
            )
            return self.version(name, str(created.version))

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, newest first; empty where it has none."""
        from mlflow.utils import get_results_from_paginated_fn

        with _translate_errors(self.uri):
            model = self._find_model(name)
            entries = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
                lambda size, token: self.client.search_model_versions(
                    f"name='{name}'", max_results=size, page_token=token
                ),
                200,
            )
        aliases = model.aliases if model else {}
        versions = [
            Version.of(v, [name for name, at in aliases.items() if str(at) == str(v.version)])
            for v in entries
        ]
        return sorted(versions, key=lambda version: int(version.number), reverse=True)

    def version(self, name: str, number: str) -> Version:
        """One version; raises `StoreError` where there is none."""
        for each in self.versions(name):
            if each.number == number:
                return each
        versions = format_models_command(name, self.uri, "list")
        raise StoreError(f"the model {name} has no version {number}; see: {versions}")

    def aliased(self, name: str, alias: str) -> Version | None:
        """The version an alias points at, None where none."""
        return next((v for v in self.versions(name) if alias in v.aliases), None)

    def set_alias(self, name: str, alias: str, number: str) -> None:
        """Point an alias at a version: one write, whole or not at all."""
        with _translate_errors(self.uri):
            self.client.set_registered_model_alias(name, alias, number)

    def tag_version(self, name: str, number: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version, in the order given."""
        with _translate_errors(self.uri):
            for key, value in tags.items():
                self.client.set_model_version_tag(name, number, key, value)

    def model_tags(self, name: str) -> dict[str, str]:
        """The tags of a registered model; empty where there is none."""
        with _translate_errors(self.uri):
            model = self._find_model(name)
            return {str(k): str(v) for k, v in model.tags.items()} if model else {}

    def tag_model(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model."""
        with _translate_errors(self.uri):
            self.client.set_registered_model_tag(name, key, value)

    def _find_model(self, name: str) -> RegisteredModel | None:
        """A registered model; not by a search, which Unity Catalog refuses to filter by name."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
                return None
            raise

    def _experiment(self, name: str) -> str:
        """The experiment's id; a new one keeps artifacts beside the database, not in ./mlruns."""
        existing = self.client.get_experiment_by_name(name)
        if existing is not None:
            return str(existing.experiment_id)
        location = None
        if self.uri.startswith("sqlite:///"):
            database = Path(self.uri.removeprefix("sqlite:///")).resolve()
            location = (database.parent / "mlartifacts").as_uri()
        # MLflow asks what kind an experiment is, and shows runs of the classic kind as such
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(self.client.create_experiment(name, artifact_location=location, tags=kind))


def build_signature(model: TrainedModel) -> ModelSignature:
    """One row per customer with its orders nested; forecasts with dates as ISO text.

    `orders` is of any type: MLflow would check each field of each line, at thousands of times the
    cost of the forecasts, and `serve.pyfunc` checks them anyway. Numbers that a row without a
    forecast leaves empty are doubles: Spark's integers from pandas cannot be.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    anything = AnyType()  # type: ignore[no-untyped-call]
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "customer_id"),
        ColSpec(DataType.string, "cutoff"),
        ColSpec(anything, "orders"),
    ]
    if model.numbers.customers is not None:
        columns.append(ColSpec(anything, "attributes", required=False))
    texts = {"string", "timestamp[us]"}
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string if str(f.type) in texts else DataType.double, f.name)
        for f in FORECAST_SCHEMA
    ]
    outputs.append(ColSpec(DataType.string, "reason"))
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))
