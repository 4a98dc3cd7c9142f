"""Model: trees and numbers, and the arithmetic that turns feature rows into forecasts.

    churn_probability  = isotonic(mean over seeds of the churn trees' log-odds)
    spend if any order = mean over seeds of exp(spend trees + offset)
    expected_spend     = (1 - churn_probability) x spend if any order
    spend in period k  = expected_spend x ratio_k(risk band)
    clv                = sum over k of margin x spend in period k / (1 + rate)^((k - 1) horizon / 365)

The first two lines make a hurdle: customers without an order spend nothing, so their product is the
mean of max(spend, 0). The offset is the log of the customer's credibility-weighted order value
(Buehlmann 1967), (n AOV + typical) / (n + 1): trees cannot extrapolate, and a customer whose orders
are ten times larger than any the trees can tell apart is still forecast in proportion.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ..configs.schema import Config, EconomicsConfig, OrdersConfig
from ..errors import BundleError, ConfigError, OrdersError
from ..features.orders import Orders
from ..features.table import FeatureRows
from .trees import Trees

__all__ = ["BANDS", "Model", "Numbers", "Predictions", "content_version", "order_value_offset"]

Float64 = npt.NDArray[np.float64]
BANDS = ("low", "medium", "high")
_CREDIBILITY = 1.0  # the typical order value weighs as much as one order of the customer's own


class Numbers(BaseModel):
    """Everything of a model that is not a tree: settings it was trained with, and what it learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    orders: OrdersConfig  # how to read orders; its source is never kept
    optional_columns: tuple[str, ...]  # columns the features need, beside the required ones
    features: tuple[str, ...]  # the trees' inputs, in their order
    horizon_days: int
    periods: int
    economics: EconomicsConfig
    churn_log_odds: tuple[float, ...]  # isotonic calibration: at these log-odds ...
    churn_probabilities: tuple[float, ...]  # ... these probabilities, straight lines between
    typical_order_value: Annotated[float, Field(gt=0)]
    offset_shift: float
    risk_edges: tuple[float, float] = (0.33, 0.66)
    period_ratios: Mapping[str, tuple[float, ...]]  # risk band -> spend of period k / of period 1
    realised_periods: int  # periods whose ratios history has shown; later ones are held
    short_history: bool


@dataclass(frozen=True)
class Predictions:
    """Forecasts of feature rows, arrays of n_rows; money in the shop's currency."""

    churn_probability: Float64
    expected_spend: Float64
    clv: Float64
    risk: npt.NDArray[np.object_]


@dataclass(frozen=True)
class Model:
    """A trained model: what `score` needs, and nothing of the customers it learned from."""

    numbers: Numbers
    churn_trees: tuple[Trees, ...]  # one per seed
    spend_trees: tuple[Trees, ...]
    own_periods: int | None = None  # set by `with_config`; no part of the model's version
    own_economics: EconomicsConfig | None = None
    own_orders: OrdersConfig | None = None

    @cached_property
    def version(self) -> str:
        """The first twelve digits of a sha256 over the model's files: equal models, equal versions."""
        return content_version(self.files())

    def files(self) -> dict[str, bytes]:
        """The files that make the model what it is, as they stand in a bundle: name -> content."""
        numbers = json.dumps(self.numbers.model_dump(mode="json"), indent=1, sort_keys=True)
        files = {"model.json": f"{numbers}\n".encode()}
        for head, all_trees in (("churn", self.churn_trees), ("spend", self.spend_trees)):
            for seed, trees in enumerate(all_trees):
                files[f"{head}-{seed}.txt"] = trees.text.encode()
        return files

    @property
    def periods(self) -> int:
        """How many periods a CLV spans."""
        return self.own_periods or self.numbers.periods

    @property
    def economics(self) -> EconomicsConfig:
        """What turns spend into value."""
        return self.own_economics or self.numbers.economics

    @property
    def orders(self) -> OrdersConfig:
        """How to read orders: the mapping, the formats, the time zone."""
        return self.own_orders or self.numbers.orders

    def with_config(self, config: Config) -> Model:
        """The model with what a configuration states of periods, economics and orders, key by key.

        Raises `ConfigError` for another horizon: the trees learned the spend of one.
        """
        stated = config.model_fields_set
        if "horizon_days" in stated and config.horizon_days != self.numbers.horizon_days:
            raise ConfigError(
                f"horizon_days must be the model's {self.numbers.horizon_days}, got "
                f"{config.horizon_days}; train a model for that horizon"
            )
        return replace(
            self,
            own_periods=config.periods if "periods" in stated else self.own_periods,
            own_economics=self.economics.overridden_by(config.economics),
            own_orders=self.orders.overridden_by(config.orders),
        )

    def save(self, folder: str | Path) -> None:
        """Write the model as a bundle folder, whole or not at all; raises `StoreError`."""
        from .bundle import save

        save(self, Path(folder))

    def usable_columns(self, orders: Orders) -> Orders:
        """The orders with the columns this model learned from; raises `OrdersError` naming missing ones."""
        missing = [n for n in self.numbers.optional_columns if n not in orders.optional_columns]
        if missing:
            raise OrdersError(
                f"the model needs the columns {', '.join(missing)}, which the orders lack; "
                "map them in orders.columns"
            )
        return orders.keep_columns(self.numbers.optional_columns)

    def predict(self, rows: FeatureRows) -> Predictions:
        """Forecast feature rows; each row's numbers depend on that row alone."""
        numbers = self.numbers
        if not rows.n_rows:
            nothing = np.empty(0, dtype=np.float64)
            return Predictions(nothing, nothing, nothing, np.empty(0, dtype=object))
        inputs = rows.columns(numbers.features)
        churn = np.interp(
            self.churn_log_odds(inputs), numbers.churn_log_odds, numbers.churn_probabilities
        )
        offset = order_value_offset(rows, numbers.typical_order_value) + numbers.offset_shift
        heads = [np.exp(trees.predict(inputs) + offset) for trees in self.spend_trees]
        expected_spend = (1.0 - churn) * _mean(heads)
        band = np.searchsorted(numbers.risk_edges, churn, side="right")
        value_of_one = self._value_of_one()
        clv = expected_spend * value_of_one[band]
        if not (np.isfinite(churn).all() and np.isfinite(clv).all()):
            raise BundleError(f"model {self.version} gives forecasts that are no numbers")
        return Predictions(churn, expected_spend, clv, np.array(BANDS, dtype=object)[band])

    def churn_log_odds(self, inputs: npt.NDArray[np.float32]) -> Float64:
        """The churn trees' mean log-odds, uncalibrated: n_rows."""
        return _mean([trees.predict(inputs) for trees in self.churn_trees])

    def _value_of_one(self) -> Float64:
        """Per risk band, the value over all periods of one unit of money spent in the first."""
        period = np.arange(self.periods)
        years = period * self.numbers.horizon_days / 365.0
        discount = (1.0 + self.economics.annual_discount_rate) ** years
        known = np.minimum(period, self.numbers.periods - 1)  # later ones hold the last ratio
        ratios = np.array([self.numbers.period_ratios[band] for band in BANDS])[:, known]
        return np.asarray(self.economics.margin_rate * (ratios / discount).sum(axis=1))


def order_value_offset(rows: FeatureRows, typical_order_value: float) -> Float64:
    """Log of each row's credibility-weighted order value: float64, n_rows."""
    spend, n_orders = rows.columns(("spend_total", "n_orders")).T.astype(np.float64)
    own = np.maximum(spend, 0.0)
    return np.asarray(
        np.log((own + _CREDIBILITY * typical_order_value) / (n_orders + _CREDIBILITY))
    )


def _mean(heads: list[Float64]) -> Float64:
    """The mean over seeds, added one by one: np.mean adds in another order for one row alone."""
    total = heads[0]
    for head in heads[1:]:
        total = total + head
    return total / len(heads)


def content_version(files: Mapping[str, bytes]) -> str:
    """The first twelve digits of a sha256 over files by name: {name: content}."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
