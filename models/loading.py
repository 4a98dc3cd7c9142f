"""load_model: from a bundle folder or an MLflow URI."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..configs.addresses import format_models_command
from ..errors import BundleError, ConfigError, StoreError
from .api import Model
from .bundle import load_expected_bundle
from .model import TrainedModel
from .registry_facts import VERDICT, VERDICT_REASON, RegistryFacts
from .store_connection import wait_for_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "find_existing_store",
    "find_registry",
    "load_model",
    "resolve_sqlite_path",
    "silence_mlflow",
    "use_store",
]

_DEFAULT_STORE = Path("mlflow.db")


def load_model(
    model: str | Path, tracking_uri: str | None = None, *, expect_sha256: str | None = None
) -> Model:
    """Load a model from a bundle folder or from MLflow.

    Parameters
    ----------
    model : str or Path
        A bundle folder, or an address in MLflow such as `models:/clv@champion`.
    tracking_uri : str, optional
        The MLflow store; by default MLFLOW_TRACKING_URI, else ./mlflow.db.
    expect_sha256 : str, optional
        The digest of the bundle's manifest.json (`sha256sum bundle/manifest.json`), if you keep
        it apart from the bundle. It is checked beside the tag that MLflow keeps of a version.

    Returns
    -------
    Model
        A model to pass to `clvcast.score`.

    Raises
    ------
    BundleError
        If the bundle is damaged or missing.
    StoreError
        If the store or the model in it is missing.
    ConfigError
        If `model` is neither a folder nor an address in MLflow.

    """
    return Model.of(_load(str(model), tracking_uri, expect_sha256))


def _load(uri: str, tracking_uri: str | None, expect_sha256: str | None) -> TrainedModel:
    if ":/" not in uri:
        if not Path(uri).is_dir():
            raise BundleError(
                f"there is no bundle folder {uri}; name one, or an MLflow model such as "
                "models:/clv@champion"
            )
        return load_expected_bundle(Path(uri), expect_sha256)
    if not uri.startswith(("models:/", "runs:/")):
        raise ConfigError(f"a model is a bundle folder, models:/... or runs:/..., got {uri}")
    return _load_from_mlflow(uri, find_existing_store(tracking_uri), expect_sha256)


def find_existing_store(tracking_uri: str | None) -> str:
    """The MLflow store to read from; never makes one. Raises `StoreError` where there is none."""
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or ""
    if not uri and _DEFAULT_STORE.exists():
        uri = f"sqlite:///{_DEFAULT_STORE}"
    if not uri:
        raise StoreError(
            "there is no MLflow store here (./mlflow.db); run in the folder where the model was "
            "trained, or give --tracking-uri"
        )
    if "://" not in uri and not Path(uri).is_dir():
        raise StoreError(f"an MLflow store is an address such as sqlite:///mlflow.db, got {uri}")
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///"))
        if not database.exists():
            raise StoreError(f"there is no MLflow store {uri}; train a model first")
        with database.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise StoreError(f"{uri} is no SQLite database, so no MLflow store")
    return resolve_sqlite_path(uri)


def find_registry(tracking_uri: str) -> str:
    """The registry of models: MLFLOW_REGISTRY_URI where it is set, else the tracking store itself.

    `mlflow.set_registry_uri` sets the variable too.
    """
    return resolve_sqlite_path(os.environ.get("MLFLOW_REGISTRY_URI") or tracking_uri)


def resolve_sqlite_path(uri: str) -> str:
    """The address with an SQLite file's whole path.

    MLflow keeps a store's connections by its address: after a change of folder sqlite:///mlflow.db
    would still be the database of the folder before.
    """
    if not uri.startswith("sqlite:///"):
        return uri
    return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"


def _load_from_mlflow(uri: str, tracking_uri: str, expect_sha256: str | None) -> TrainedModel:
    try:
        silence_mlflow()
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise StoreError(
            "models in MLflow need the mlflow extra: pip install 'clvcast[mlflow]'"
        ) from None
    registry_uri = find_registry(tracking_uri)
    for store in {tracking_uri: None, registry_uri: None}:  # one of them, where they are the same
        wait_for_store(store)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with use_store(tracking_uri, registry_uri):
                version = _find_version(mlflow.MlflowClient(tracking_uri, registry_uri), uri)
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=folder, tracking_uri=tracking_uri
                )
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"MLflow cannot give the model {uri}: {reason}") from None
        manifests = sorted(Path(path).glob("**/manifest.json"))
        if not manifests:
            raise BundleError(f"the model {uri} holds no clvcast bundle")
        if version is None:
            return load_expected_bundle(manifests[0].parent, expect_sha256)
        model = load_expected_bundle(manifests[0].parent, expect_sha256, version.tags)
        about = RegistryFacts.of(version.name, str(version.version), version.tags)
        return replace(model, registered=about)


def _refuse_missing_alias(client: MlflowClient, name: str, alias: str) -> None:
    """Say which version could serve where a model has versions and none of them the alias."""
    versions = client.search_model_versions(f"name='{name}'")
    if not versions or alias in client.get_registered_model(name).aliases:
        return
    newest = max(versions, key=lambda each: int(each.version))  # Unity Catalog refuses to sort
    number, why = newest.version, newest.tags.get(VERDICT_REASON, "")
    was_refused = newest.tags.get(VERDICT) == "refused"
    reason = f"version {number} was refused: {why}" if was_refused else f"the newest is {number}"
    promotion = format_models_command(
        name, client.tracking_uri, "promote", str(number), "--reason", "checked by hand"
    )
    raise StoreError(
        f"no version of {name} is {alias}; {reason}. Use it as models:/{name}/{number}, or make it "
        f"champion: {promotion}"
    )


def silence_mlflow() -> None:
    """Keep MLflow quiet: no telemetry, progress bars or logs; its errors are raised as usual."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # noqa: F401  # reads the environment, and sets the levels of its own loggers

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # whole tracebacks


@contextmanager
def use_store(tracking_uri: str, registry_uri: str) -> Iterator[None]:
    """MLflow's own addresses set to a store, for the calls that take no other; then as they were.

    A service's settings are not ours to change. MLflow keeps each twice, in a variable and in the
    environment; where neither was set, unset is what they become again.
    """
    import mlflow

    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    environment = {name: os.environ.get(name) for name in names}
    tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    try:
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(registry_uri)
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        mlflow.set_registry_uri(None)  # type: ignore[arg-type]
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        # MLflow reads the environment again: what stood there alone is not kept as a setting
        if mlflow.get_tracking_uri() != tracking:
            mlflow.set_tracking_uri(tracking)
        if mlflow.get_registry_uri() != registry:
            mlflow.set_registry_uri(registry)


def _find_version(client: MlflowClient, uri: str) -> ModelVersion | None:
    """The registered version a URI names, with what was noted when it was taken; None for runs."""
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([^/@]+))", uri)
    if match is None:
        return None
    name, alias, which = match.groups()
    if alias:
        _refuse_missing_alias(client, name, alias)
        return client.get_model_version_by_alias(name, alias)
    if which.isdigit():
        return client.get_model_version(name, which)
    versions = client.search_model_versions(f"name='{name}'")
    if which.lower() != "latest" or not versions:  # the rest are stages, which MLflow gives up
        raise StoreError(
            f"a registered model is named by version, alias or latest, as models:/{name}/1, "
            f"models:/{name}@champion or models:/{name}/latest; received {uri}"
            + ("" if versions else f", and {name} has no version")
        )
    return max(versions, key=lambda each: int(each.version))
