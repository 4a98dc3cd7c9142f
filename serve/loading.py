"""load_model: from a bundle folder or an MLflow URI. The one module of serve/ that imports mlflow."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from ..errors import BundleError, ConfigError, StoreError
from .bundle import load
from .model import Model

__all__ = ["existing_store", "load_model"]

_DEFAULT_STORE = Path("mlflow.db")


def load_model(model: str | Path, tracking_uri: str | None = None) -> Model:
    """Load a model from a bundle folder, or from MLflow by a URI such as `models:/clv@champion`.

    The MLflow store is `tracking_uri`, else MLFLOW_TRACKING_URI, else ./mlflow.db. Raises
    `BundleError` for a damaged bundle, `StoreError` when the store or the model is not there.
    """
    uri = str(model)
    if ":/" not in uri:
        if not Path(uri).is_dir():
            raise BundleError(
                f"there is no bundle folder {uri}; name one, or an MLflow model such as "
                "models:/clv@champion"
            )
        return load(Path(uri))
    if not uri.startswith(("models:/", "runs:/")):
        raise ConfigError(f"a model is a bundle folder, models:/... or runs:/..., got {uri}")
    return _load_from_mlflow(uri, existing_store(tracking_uri))


def existing_store(tracking_uri: str | None) -> str:
    """The MLflow store to read from; never makes a new one. Raises `StoreError` where there is none."""
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
    return uri


def _load_from_mlflow(uri: str, tracking_uri: str) -> Model:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise StoreError(
            "models in MLflow need the mlflow extra: pip install 'clvcast[mlflow]'"
        ) from None
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with tempfile.TemporaryDirectory() as folder:
        try:
            mlflow.set_registry_uri(tracking_uri)
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=folder, tracking_uri=tracking_uri
            )
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"MLflow cannot give the model {uri}: {reason}") from None
        finally:  # a service's own MLflow settings are not ours to change
            mlflow.set_tracking_uri(before[0])
            mlflow.set_registry_uri(before[1])
        manifests = sorted(Path(path).glob("**/manifest.json"))
        if not manifests:
            raise BundleError(f"the model {uri} holds no clvcast bundle")
        return load(manifests[0].parent)
