"""Model: trees and numbers, and how feature rows become forecasts.

expected_spend     = `models.blend`: boosted trees and BTYD blended, in money
spend in period k  = expected_spend x ratio_k(churn probability)
clv                = sum over k of margin x spend in period k / (1 + rate)^((k - 1) horizon / 365)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ..configs.economics import KnownEconomics, find_basis
from ..configs.schema import Config, CustomersConfig, OrdersConfig, require_config
from ..configs.segments import SegmentsConfig
from ..errors import BundleError, ConfigError, OrdersError
from ..features.attribute_features import encode_attributes
from ..features.table import FeatureRows
from ..notebook_cards import format_card, format_summary
from ..orders import dates
from ..orders.calendar import Calendar, build_calendar, load_calendar
from ..orders.columns import Float64
from ..orders.dates import DAY
from ..orders.extra_features import ExtraFeatures, ExtraFunction, load_extra_function
from ..orders.orders import Orders
from .blend import BtydViews, Heads, blend_forecasts, forecast_btyd, predict_heads
from .discounting import discount_periods
from .drift_reference import DriftReference
from .evidence import compute_own_share
from .fixed_settings import check_fixed_settings, describe_unused_settings
from .intervals import Interval, include_first_period, predict_interval
from .later_spend import get_interval_position, predict_spend_by_period
from .next_order import NextOrder, predict_next_order
from .parameters import LaterSpend, Parameters
from .registry_facts import RegistryFacts
from .retention import compute_retention_value
from .segments import SegmentThresholds
from .trees.lightgbm_trees import Trees

__all__ = ["Predictions", "TrainedModel", "hash_content"]


@dataclass(frozen=True)
class Predictions:
    """Forecasts of feature rows, arrays of n_rows; money in the shop's currency."""

    churn_probability: Float64
    expected_orders: Float64
    expected_spend: Float64
    spend_band: Interval
    clv: Float64
    clv_band: Interval
    next_order: NextOrder
    own_share: Float64
    retention_value: Float64  # what an order in the first period adds to CLV
    spend_by_period: Float64  # n_rows x periods, undiscounted; the first is expected_spend


@dataclass(frozen=True)
class TrainedModel:
    """A trained model: what `score` needs, and nothing of the customers it learned from."""

    numbers: Parameters
    trees: Mapping[str, tuple[Trees, ...]]  # head -> one per seed; none: BTYD alone
    own_periods: int | None = None  # set by `with_config`; no part of the model's version
    own_economics: KnownEconomics | None = None
    own_orders: OrdersConfig | None = None
    own_segments: SegmentThresholds | None = None
    own_cuts: SegmentsConfig | None = None  # cut anew within each file
    own_customers: CustomersConfig | None = None
    own_extra: ExtraFeatures | None = None  # the user's function, where the model needs one
    own_calendar: Calendar | None = None  # newer days of the events the model knows
    unused_settings: tuple[str, ...] = ()  # sentences on what `with_config` could not heed
    reference: DriftReference | None = (
        None  # how features and forecasts lay; no part of the version
    )
    registered: RegistryFacts | None = None  # what the registry says of it; no part of the version

    def _describe(self) -> dict[str, object]:
        """What the model is, in a few facts."""
        numbers, economics = self.numbers, self.economics
        seeds = len(next(iter(self.trees.values()), ()))
        trees = f"{seeds} booster{'s' * (seeds != 1)} per head on {len(numbers.features)} features"
        until = numbers.trained_until
        facts: dict[str, object] = {
            "forecasts": f"{self.periods} periods of {numbers.horizon_days} days",
            "trees": trees if seeds else "none: BTYD alone",
            "orders": numbers.blend.order_model.kind,
            "target": numbers.target,
            "CLV": find_basis(numbers.target, economics.margin_rate, economics.margin_source),
        }
        if facts["CLV"] == "margin":
            facts["margin rate"] = economics.margin_rate
        if until is not None:
            facts["trained until"] = dates.format_instant(until)
        return facts

    def __repr__(self) -> str:
        return format_summary(f"<{type(self).__name__} {self.version}>", self._describe())

    def _repr_html_(self) -> str:
        return format_card(f"{type(self).__name__} {self.version}", self._describe())

    @cached_property
    def version(self) -> str:
        """Twelve digits of a sha256 over the model's files: equal models, equal versions."""
        return hash_content(self.files())

    def files(self) -> dict[str, bytes]:
        """The files that make the model what it is, as they stand in a bundle: name -> content."""
        numbers = json.dumps(self.numbers.model_dump(mode="json"), indent=1, sort_keys=True)
        files = {"model.json": f"{numbers}\n".encode()}
        for head, all_trees in self.trees.items():
            for seed, trees in enumerate(all_trees):
                files[f"{head}-{seed}.txt"] = trees.text.encode()
        return files

    @property
    def periods(self) -> int:
        """How many periods a CLV spans."""
        return self.own_periods or self.numbers.periods

    @property
    def economics(self) -> KnownEconomics:
        """What turns spend into value."""
        return self.own_economics or self.numbers.economics

    @property
    def orders(self) -> OrdersConfig:
        """How to read orders: the mapping, the formats, the time zone."""
        return self.own_orders or self.numbers.orders

    def check_reading(self, config: OrdersConfig) -> None:
        """Refuse to read orders without the keys the training had and a bundle must not keep."""
        missing = [key for key in self.numbers.asks_for if not getattr(config, key)]
        if missing:
            raise ConfigError(
                f"the model was trained with orders.{' and orders.'.join(missing)}, which a bundle "
                "does not keep; give it again in a configuration (--config)"
            )

    @property
    def segments(self) -> SegmentThresholds:
        """What sorts customers into segments."""
        thresholds = self.own_segments or self.numbers.segments
        if thresholds is None:
            raise BundleError(f"model {self.version} has no segment thresholds; train it again")
        return thresholds

    @property
    def customers(self) -> CustomersConfig | None:
        """How to read the attributes of customers; None where the model needs none."""
        learned_config = self.numbers.customers
        if learned_config is None or self.own_customers is None:
            return learned_config
        return learned_config.overridden_by(self.own_customers).model_copy(
            update={"types": learned_config.types}
        )

    def with_config(self, config: Config) -> Self:
        """The model with what a configuration states of periods, economics, orders and customers.

        Raises `ConfigError` for another horizon, target or currency: training fixed them.
        """
        config = require_config(config)
        check_fixed_settings(self.numbers, self.orders.currency, config)
        return replace(
            self,
            own_periods=config.periods
            if "periods" in config.model_fields_set
            else self.own_periods,
            own_economics=self.economics.apply_stated(config.economics),
            own_orders=self.orders.overridden_by(config.orders),
            own_segments=self.segments.overridden_by(config.segments),
            own_cuts=config.segments if config.segments.within_file else None,
            own_customers=config.customers or self.own_customers,
            own_extra=self._load_extra(config) or self.own_extra,
            own_calendar=self._load_calendar(config) or self.own_calendar,
            unused_settings=tuple(describe_unused_settings(self.numbers, config)),
        )

    def _load_calendar(self, config: Config) -> Calendar | None:
        """The calendar a configuration names, for a model that learned from one."""
        if config.calendar is None or self.numbers.calendar is None:
            return None
        return load_calendar(config.calendar)

    @property
    def calendar(self) -> Calendar | None:
        """Days of the events the model knows, for its own windows; None if it learned from none."""
        learned_events = self.numbers.calendar
        if learned_events is None:
            return None
        current = self.own_calendar or build_calendar(learned_events)
        none = np.empty(0, dtype=np.int64)
        days = {name: current.days.get(name, none) for name in sorted(learned_events)}
        return Calendar(days).with_windows(self.numbers.horizon_days, self.periods)

    def describe_settings(self, cutoff: int) -> list[str]:
        """Sentences on settings without effect, and on what the calendar does not tell."""
        sentences = list(self.unused_settings)
        learned_events, current = self.numbers.calendar, self.own_calendar
        if learned_events is None:
            return sentences
        unknown = [] if current is None else sorted(set(current.days) - set(learned_events))
        if unknown:
            sentences.append(
                f"the calendar's {', '.join(unknown)} were not in the training's calendar: "
                "counted as no event"
            )
        days = current.days if current is not None else build_calendar(learned_events).days
        newest = max(
            (int(event_days[-1]) for event_days in days.values() if len(event_days)), default=0
        )
        if newest * DAY < cutoff:
            sentences.append(
                "the calendar has no event at or after the cutoff, so none is expected; give a "
                "newer file (calendar: in a configuration)"
            )
        return sentences

    def _load_extra(self, config: Config) -> ExtraFeatures | None:
        """The function a configuration names, for a model that needs one."""
        if config.features.extra is None or not self.numbers.extra_features:
            return None
        return ExtraFeatures(load_extra_function(config.features.extra))

    def with_extra_features(self, function: ExtraFunction) -> Self:
        """The model with the function that gives its extra features.

        Raises `ConfigError` for a model that learned from none.
        """
        if not self.numbers.extra_features:
            raise ConfigError(
                "extra_features were given, and the model learned from none; leave them out"
            )
        return replace(self, own_extra=ExtraFeatures(function))

    def check_extra_features(self, orders: Orders | None = None) -> None:
        """Refuse to forecast without the function that gives a model's extra features."""
        names = self.numbers.extra_features
        if names and self.own_extra is None and (orders is None or orders.extra is None):
            raise ConfigError(
                f"the model needs the extra features {', '.join(names)}, whose function a bundle "
                "does not keep; give extra_features=..., or features.extra in a configuration "
                "(--config)"
            )

    def usable_columns(self, orders: Orders) -> Orders:
        """The orders with the columns, attributes and extra features this model learned from.

        Raises `OrdersError` naming missing ones.
        """
        self.check_columns(orders.optional_columns)
        self.check_extra_features(orders)
        names, extra = self.numbers.extra_features, self.own_extra or orders.extra
        usable = orders.keep_columns(self.numbers.optional_columns)
        usable = replace(
            usable,
            extra=replace(extra, names=names) if names and extra else None,
            calendar=self.calendar,
            season_history=orders.season_history if self.numbers.season_history else None,
        )
        return encode_attributes(usable, self.numbers.attributes)

    def check_columns(self, names: Collection[str]) -> None:
        """Refuse orders that lack a column this model learned from."""
        missing = [name for name in self.numbers.optional_columns if name not in names]
        if missing:
            raise OrdersError(
                f"the model needs the columns {', '.join(missing)}, which the orders lack; "
                "map them in orders.columns"
            )

    def predict(self, rows: FeatureRows) -> Predictions:
        """Forecast feature rows; each row's numbers depend on that row alone."""
        numbers, horizon = self.numbers, self.numbers.horizon_days
        btyd = forecast_btyd(rows, numbers.blend, horizon)
        heads = self.heads(rows, btyd)
        expected = blend_forecasts(numbers.blend, btyd, heads)
        churn = expected.churn_probability
        by_period = predict_spend_by_period(
            numbers.later,
            numbers.blend,
            rows,
            btyd,
            expected,
            None if heads is None else heads.later,
            horizon,
            self.periods,
        )
        clv = discount_periods(by_period, self.economics, horizon)
        if not (np.isfinite(churn).all() and np.isfinite(clv).all()):
            raise BundleError(f"model {self.version} gives forecasts that are no numbers")
        intervals = numbers.intervals
        spend_band = predict_interval(
            expected.spend, expected.spend, churn, intervals.spend, intervals.spend_sure
        )
        clv_band = predict_interval(
            clv,
            get_interval_position(numbers.later, by_period),
            churn,
            intervals.clv,
            intervals.clv_sure,
        )
        if isinstance(numbers.later, LaterSpend):  # bundles of 0.1 forecast as they did
            margin_rate = self.economics.margin_rate
            clv_band = include_first_period(clv_band, spend_band, clv, margin_rate)
        return Predictions(
            churn,
            expected.orders,
            expected.spend,
            spend_band,
            clv,
            clv_band,
            predict_next_order(
                numbers.blend.order_model, btyd.history, churn, horizon, horizon * self.periods
            ),
            compute_own_share(numbers.blend, btyd.history),
            compute_retention_value(
                numbers.retention,
                numbers.blend,
                btyd,
                churn,
                by_period,
                clv,
                self.economics,
                horizon,
            ),
            by_period,
        )

    def load_boosters(self) -> None:
        """Let LightGBM read the trees, for explanations; raises `BundleError` where it cannot."""
        for seeds in self.trees.values():
            for trees in seeds:
                _ = trees.booster

    def heads(self, rows: FeatureRows, btyd: BtydViews) -> Heads | None:
        """What the trees say of feature rows; None where the model has none."""
        if not self.trees:
            return None
        return predict_heads(self.trees, self.numbers.features, self.numbers.blend, rows, btyd)


def hash_content(files: Mapping[str, bytes]) -> str:
    """The first twelve digits of a sha256 over files by name: {name: content}."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
