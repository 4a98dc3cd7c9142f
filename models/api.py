"""Model: what `clvcast.train` and `clvcast.load_model` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from ..orders.dates import Instant
from .bundle import save_bundle
from .model import TrainedModel
from .score_one import Forecast, OwnOrders, score_one

__all__ = ["Model"]


class Model(TrainedModel):
    """A trained model: what `clvcast.score` needs, and nothing of the customers it learned from.

    Attributes
    ----------
    version : str
        Twelve hex digits over the model's content; equal models have equal versions.
    periods : int
        Number of periods that a CLV spans.
    numbers : Numbers
        Horizon, economics, mapping and everything learned beside the trees.

    """

    @classmethod
    def of(cls, model: TrainedModel) -> Self:
        """The same model as the public class."""
        return cls(**{field.name: getattr(model, field.name) for field in fields(model)})

    def save(self, folder: str | Path) -> None:
        """Write the model as a bundle folder, whole or not at all.

        Settings applied with `with_config` are not saved.

        Parameters
        ----------
        folder : str or Path
            A new folder, or an existing bundle to replace.

        Raises
        ------
        StoreError
            If the folder exists and is no bundle, or cannot be written.

        """
        save_bundle(self, Path(folder))

    def score_one(
        self,
        orders: OwnOrders,
        cutoff: Instant,
        customer_id: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Forecast:
        """Forecast one customer from their own order lines, in about a millisecond.

        The numbers are those of `clvcast.score`, bit for bit.

        Parameters
        ----------
        orders : list of dict, list of tuple, DataFrame, pyarrow.Table or Orders
            The customer's order lines: dictionaries with `ordered_at`, `amount` and the optional
            columns, or tuples `(ordered_at, amount[, order_id])`.
        cutoff : str, date or datetime
            The first instant that is not observed, at most one horizon from now.
        customer_id : str, optional
            The id of the returned row, where the lines hold none.
        attributes : dict, optional
            The customer's attributes at the cutoff, for a model that learned from any.

        Returns
        -------
        Forecast
            One forecast row; money is in the shop's currency.

        Raises
        ------
        OrdersError
            If a line cannot be used or no order lies before the cutoff.
        ConfigError
            If the cutoff is no date or more than a horizon from now.

        """
        return score_one(self, orders, cutoff, customer_id, attributes)
