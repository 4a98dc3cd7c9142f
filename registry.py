"""Versions of a model in MLflow: list them, promote one, roll back.

Examples
--------
>>> clvcast.registry.list_versions()  # doctest: +SKIP
>>> clvcast.registry.promote(3, reason="unusual autumn, checked by hand")  # doctest: +SKIP
>>> clvcast.registry.rollback(reason="forecasts are twice the sales")  # doctest: +SKIP

"""

from __future__ import annotations

from .train.registry import promotion
from .train.registry.promotion import Change, VersionSummary

__all__ = ["Change", "VersionSummary", "list_versions", "promote", "rollback"]


def list_versions(name: str = "clv", tracking_uri: str | None = None) -> list[VersionSummary]:
    """List the versions of a model, newest first.

    Parameters
    ----------
    name : str, default "clv"
        Name of the registered model.
    tracking_uri : str, optional
        The MLflow store; by default MLFLOW_TRACKING_URI or ./mlflow.db.

    Returns
    -------
    list of VersionSummary
        Number, aliases, data, measures, tags, and what the gate or a person decided.

    Raises
    ------
    StoreError
        If the store or the model does not exist.

    """
    return promotion.list_models(name, tracking_uri)[0]


def promote(
    version: int | str, *, reason: str, name: str = "clv", tracking_uri: str | None = None
) -> Change:
    """Make a version champion, whatever the gate's verdict.

    Parameters
    ----------
    version : int or str
        Number of the version.
    reason : str
        Why; kept with the date.
    name : str, default "clv"
        Name of the registered model.
    tracking_uri : str, optional
        The MLflow store; by default MLFLOW_TRACKING_URI or ./mlflow.db.

    Returns
    -------
    Change
        The champion now and before. Promoting the champion again changes nothing.

    Raises
    ------
    StoreError
        If there is no such version.
    ConfigError
        If the reason is empty.

    """
    return promotion.promote(name, str(version), reason, tracking_uri)


def rollback(reason: str = "", *, name: str = "clv", tracking_uri: str | None = None) -> Change:
    """Make the previous champion champion again; a second rollback changes nothing.

    Parameters
    ----------
    reason : str, optional
        Why; kept with the date.
    name : str, default "clv"
        Name of the registered model.
    tracking_uri : str, optional
        The MLflow store; by default MLFLOW_TRACKING_URI or ./mlflow.db.

    Returns
    -------
    Change
        The champion now and before.

    Raises
    ------
    StoreError
        If there is no champion, or it replaced none.

    """
    return promotion.rollback(name, reason, tracking_uri)
