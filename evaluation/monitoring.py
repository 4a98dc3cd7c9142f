"""monitor: were the forecasts right? Until that is known: are the customers still the same?

A forecast is mature when its window lies wholly before the newest order's midnight. Then what
happened is joined by customer: bias, calibration, coverage of the 90 % intervals, and the capture
of the top tenth, in money, for all and per model version, tier, segment and risk. Before that,
features and forecasts are compared with the reference in the model's bundle. Every number becomes a
finding with a severity: above its bound `alarm`, above half of it `warning`, both after what chance
makes of so many customers; parts of the customers raise warnings only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from ..atomic_files import write_tables
from ..configs.schema import Config, MonitorConfig, Target
from ..errors import ConfigError
from ..features.catalogue import CATALOGUE
from ..features.table import compute_feature_rows
from ..features.targets import compute_targets
from ..models.drift_reference import build_histogram, compute_stability_index, count_unknown_shares
from ..models.forecast_terms import ForecastTerms
from ..models.model import TrainedModel
from ..orders import dates, windows
from ..orders.columns import Float64, Mask
from ..orders.cutoffs import get_default_cutoff, get_newest_realised_cutoff
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from . import measures
from .forecast_file import ForecastSource, read_forecast_history
from .sampling_error import (
    estimate_calibration_noise,
    estimate_capture_noise,
    estimate_share_noise,
    estimate_total_noise,
)

__all__ = ["MonitorFinding", "Monitoring", "Severity", "is_mature", "monitor"]

Severity = Literal["fine", "warning", "alarm"]
_ORDER: tuple[Severity, ...] = ("fine", "warning", "alarm")
_PARTS = ("model_version", "tier", "rfm_segment", "risk")
# one feature moves by time alone (a shop's oldest customers grow older): many at once do not
_MOST_MOVED = 0.25
_OF_THE_CALENDAR = {
    feature.name for feature in CATALOGUE if feature.group in ("season", "calendar")
}
_LEAST_CUSTOMERS = 30  # a part with fewer raises no finding; its row is there


@dataclass(frozen=True)
class MonitorFinding:
    """One number, what it may be, and what it means."""

    name: str
    value: float
    bound: float
    severity: Severity
    sentence: str
    chance: float = 0.0  # what luck alone makes of it: an alarm is above bound + chance


_FINDING = [field.name for field in fields(MonitorFinding)]


@dataclass(frozen=True)
class Monitoring:
    """All findings, and the measures of matured forecasts: a row per cutoff and customer group."""

    findings: tuple[MonitorFinding, ...]
    matured: pd.DataFrame
    terms: ForecastTerms | None = None  # None: the forecasts do not say

    @property
    def severity(self) -> Severity:
        """The worst of all."""
        return max((f.severity for f in self.findings), key=_ORDER.index, default="fine")

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write findings and matured into `folder`, all or none."""
        findings = pd.DataFrame([asdict(finding) for finding in self.findings], columns=_FINDING)
        matured = self.matured
        if len(matured):
            basis = "unknown" if self.terms is None else self.terms.spend_basis
            matured = matured.assign(basis=basis)
        write_tables(folder, {"findings": findings, "matured": matured}, ending)


def monitor(
    forecasts: ForecastSource,
    orders: OrdersSource,
    model: TrainedModel | None = None,
    config: Config | None = None,
) -> Monitoring:
    """Compare forecasts with the orders that came afterwards.

    Forecasts whose prediction window is not over are compared with the model's reference data.

    Parameters
    ----------
    forecasts : DataFrame, str or Path
        Forecasts of one or more cutoffs, as `clvcast.score` returns them, or their file.
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders that reach as far as possible, or where to read them.
    model : Model, optional
        The model of the forecasts; states the mapping of columns, and finds drift.
    config : Config, optional
        Settings of the shop: the bounds, and without a model the mapping. The horizon is the
        forecasts' own; model and configuration state it for forecasts that carry none.

    Returns
    -------
    Monitoring
        Findings with a severity (fine, warning or alarm), and the measures of forecasts whose
        prediction window is over, per cutoff and part of the customers.

    Raises
    ------
    ConfigError
        If the horizon is not known, or model or configuration state another horizon, target or
        currency than the forecasts carry, or the prediction window is not over and there is no
        model to compare with.

    """
    found = read_forecast_history(forecasts)
    horizon_days, target = _resolve_window(found.terms, model, config)
    bounds = (config or Config()).monitor
    mapping = model.orders if model else (config or Config()).orders
    rows = found.rows.replace_schema_metadata().to_pandas()
    known = coerce_orders(orders, mapping)
    end = get_default_cutoff(known)
    findings: list[MonitorFinding] = []
    matured = []
    for cutoff, group in rows.groupby("cutoff", sort=True):
        instant = dates.parse_instant(pd.Timestamp(str(cutoff)))
        over = _find_window_end(instant, horizon_days)
        if is_mature(instant, horizon_days, end):
            findings += _missing(group, known, instant, bounds)
            table = _matured(group, known, instant, horizon_days, end, target)
            matured.append(table)
            findings += _judged(table, bounds)
        elif model is None or model.reference is None:
            why = (
                "give its --model"
                if model is None
                else "its bundle holds no reference to compare with"
            )
            raise ConfigError(
                f"the forecasts at {dates.format_instant(instant)} are mature on "
                f"{dates.format_instant(over)}, and "
                f"the orders end at {dates.format_instant(end)}: to look for drift until "
                f"then, {why}"
            )
        else:
            findings += _drift(group, known, instant, model, bounds)
    joined = pd.concat(matured, ignore_index=True) if matured else pd.DataFrame()
    return Monitoring(tuple(findings), joined, found.terms)


def _resolve_window(
    terms: ForecastTerms | None, model: TrainedModel | None, config: Config | None
) -> tuple[int, Target]:
    """The forecasts' horizon and target: their own; nobody may state others."""
    if terms is None:
        if model is not None:
            return model.numbers.horizon_days, model.numbers.target
        if config is not None:
            return config.horizon_days, config.target
        raise ConfigError(
            "the forecasts' horizon must be known, and they do not state it: give their model, or "
            "a configuration"
        )
    stated: list[tuple[str, str, object]] = []
    if model is not None:
        stated.append(("the model", "horizon_days", model.numbers.horizon_days))
        stated.append(("the model", "target", model.numbers.target))
        stated.append(("the model", "orders.currency", model.orders.currency))
    if config is not None:
        for key in ("horizon_days", "target"):
            if key in config.model_fields_set:
                stated.append(("the configuration", key, getattr(config, key)))
        stated.append(("the configuration", "orders.currency", config.orders.currency))
    own = terms.keys()
    for who, key, value in stated:
        if value and key in own and own[key] != value:
            raise ConfigError(
                f"the forecasts were made with {key} {own[key]}, {who} says {value}; give the "
                "forecasts, model and configuration of one shop"
            )
    return terms.horizon_days, terms.target


def is_mature(cutoff: int, horizon_days: int, end: int) -> bool:
    """Whether the prediction window of forecasts at a cutoff lies wholly before `end`."""
    return bool(windows.is_realised(np.array([_find_window_end(cutoff, horizon_days)]), end)[0])


def _find_window_end(cutoff: int, horizon_days: int) -> int:
    return int(windows.compute_period_ends(np.array([cutoff]), horizon_days, 1)[0, 1])


def _missing(
    group: pd.DataFrame, orders: Orders, cutoff: int, bounds: MonitorConfig
) -> Iterator[MonitorFinding]:
    """Customers with a forecast and no order before its cutoff: lines were lost since."""
    present = windows.slice_observed(orders, cutoff).customer_ids.to_pandas()
    share = float((~group["customer_id"].isin(present)).mean())
    yield _finding(
        "missing customers", share, bounds.missing_customers,
        f"{share:.1%} of the customers forecast at {dates.format_instant(cutoff)} are not "
        "in the orders",
    )  # fmt: skip


def _matured(
    group: pd.DataFrame,
    orders: Orders,
    cutoff: int,
    horizon_days: int,
    end: int,
    target: Target = "spend",
) -> pd.DataFrame:
    """Measures of one cutoff's forecasts, for all and by part; money in the shop's currency."""
    at = np.array([cutoff], dtype=np.int64)
    known = windows.slice_observed(orders, cutoff)
    rows = compute_feature_rows(replace(known, extra=None), at)
    happened = compute_targets(orders, rows, at, horizon_days, 1, end, target)
    ids = known.customer_ids.take(pa.array(rows.customer_index)).to_pandas()
    actual = pd.DataFrame({"spend": happened.spend[:, 0], "churned": happened.churned}, index=ids)
    joined = actual.reindex(group["customer_id"])
    # a customer the orders no longer hold spent nothing that is known of, and is counted as missing
    spend = joined["spend"].fillna(0.0).to_numpy(dtype=np.float64)
    churned = joined["churned"].astype("boolean").fillna(True).to_numpy(dtype=bool)
    parts = [("all", "", np.ones(len(group), dtype=bool))]
    for name in (part for part in _PARTS if part in group):
        labels = group[name].astype(str).to_numpy()
        parts += [(name, label, labels == label) for label in sorted(set(labels))]
    found = [
        {"cutoff": dates.format_instant(cutoff), "part": part, "value": value}
        | _measures(group[inside], spend[inside], churned[inside])
        for part, value, inside in parts
    ]
    return pd.DataFrame(found)


def _measures(group: pd.DataFrame, spend: Float64, churned: Mask) -> dict[str, object]:
    expected = group["expected_spend"].to_numpy(dtype=np.float64)
    probability = group["churn_probability"].to_numpy(dtype=np.float64)
    coverage = float("nan")
    names = ["expected_spend_lower", "expected_spend_upper"]
    if all(name in group and group[name].notna().all() for name in names):
        lower, upper = (group[name].to_numpy(dtype=np.float64) for name in names)
        coverage = measures.coverage(lower, upper, np.maximum(spend, 0.0))
    captured, perfect = (measures.select_top_tenth(by, spend) for by in (expected, spend))
    best = float(perfect.sum())
    return {
        "customers": len(group),
        "forecast": float(expected.sum()),
        "actual": float(spend.sum()),
        "bias": measures.bias(expected, spend),
        "churn_forecast": float(probability.mean()),
        "churn_actual": float(churned.mean()),
        "calibration": measures.calibration_error(probability, churned),
        "coverage": coverage,
        "capture": measures.divide(captured.sum(), spend.sum()),
        "capture_of_perfect": measures.divide(captured.sum(), best),
        "bias_by_chance": estimate_total_noise(expected, spend),
        "calibration_by_chance": estimate_calibration_noise(probability),
        "capture_by_chance": estimate_capture_noise(captured, best),
    }


def _judged(table: pd.DataFrame, bounds: MonitorConfig) -> Iterator[MonitorFinding]:
    everyone = 0
    for row in table.to_dict("records"):
        whole = row["part"] in ("all", "model_version")
        everyone = max(everyone, row["customers"])
        if row["customers"] < _LEAST_CUSTOMERS and not whole:
            continue
        if row["part"] != "all" and row["customers"] == everyone:
            continue  # the only model, tier or band: covered by `all` already
        who = "all customers" if row["part"] == "all" else f"{row['part']} {row['value']}"
        where = f"of {who} at {row['cutoff']}"
        numbers = [
            (
                "bias", row["bias"], bounds.bias, row["bias_by_chance"],
                f"the total {where} missed by {row['bias']:+.1%}",
            ),
            (
                "calibration", row["calibration"], bounds.calibration, row["calibration_by_chance"],
                f"churn probabilities {where} are off by {row['calibration']:.1%} on average",
            ),
            (
                "coverage", max(measures.NOMINAL_COVERAGE - row["coverage"], 0.0), bounds.coverage,
                estimate_share_noise(measures.NOMINAL_COVERAGE, row["customers"]),
                f"90 % intervals {where} held {row['coverage']:.1%}",
            ),
            (
                "capture", 1.0 - row["capture_of_perfect"], bounds.capture,
                row["capture_by_chance"],
                f"the top tenth {where} held {row['capture_of_perfect']:.0%} of what the "
                "best tenth spent",
            ),
        ]  # fmt: skip
        for name, value, bound, chance, sentence in numbers:
            if value == value:
                message = f"{sentence} (chance explains {chance:.1%})"
                yield _finding(f"{name} {where}", value, bound, message, chance, may_alarm=whole)


def _drift(
    group: pd.DataFrame, orders: Orders, cutoff: int, model: TrainedModel, bounds: MonitorConfig
) -> Iterator[MonitorFinding]:
    """Features and forecasts against the bundle's reference, and what the orders lack."""
    reference = model.reference
    assert reference is not None
    needed = model.numbers.optional_columns
    missing = [name for name in needed if name not in orders.optional_columns]
    for name in missing:
        yield MonitorFinding(
            f"column {name}", 1.0, 0.0, "alarm", f"the orders lack {name}, which the model needs"
        )
    versions = sorted(set(group["model_version"]) - {model.version})
    if versions:
        raise ConfigError(
            f"model must be the one that made the forecasts, {versions[0]}, got {model.version}"
        )
    yield from _missing(group, orders, cutoff, bounds)
    for name, then in reference.forecasts.items():
        value = compute_stability_index(
            then, build_histogram(group[name].to_numpy(dtype=np.float64), then.edges)
        )
        message = f"forecasts of {name} moved by PSI {value:.2f} since training"
        yield _finding(f"forecast {name}", value, bounds.psi, message)
    if missing:
        return
    known = windows.slice_observed(model.usable_columns(orders), cutoff)
    rows = compute_feature_rows(known, np.array([cutoff], dtype=np.int64))
    moved = []
    for name in (name for name in reference.features if name not in _OF_THE_CALENDAR):
        then = reference.features[name]
        values = rows.columns((name,))[:, 0].astype(np.float64)
        value = compute_stability_index(then, build_histogram(values, then.edges))
        moved.append(value > bounds.psi)
        message = f"the feature {name} moved by PSI {value:.2f} since training"
        yield _finding(f"feature {name}", value, bounds.psi, message, may_alarm=False)
    share = sum(moved) / max(len(moved), 1)
    message = f"{sum(moved)} of {len(moved)} features moved by more than PSI {bounds.psi:g}"
    yield _finding("features moved", share, _MOST_MOVED, message)
    since = get_newest_realised_cutoff(cutoff, model.numbers.horizon_days)
    newest = known.keep_lines(~windows.is_before(known.times, since))
    for column, shares in reference.categories.items():
        unknown = count_unknown_shares(newest, column, shares)
        # what was too rare to be kept is unknown as well, and no news: unknown = news + (1 - news)
        # rare
        rare = min(reference.rare.get(column, 0.0), 0.999)
        value = max((sum(unknown.values()) - rare) / (1.0 - rare), 0.0)
        named = ", ".join(list(unknown)[:3]) or "none"
        message = (
            f"{value:.1%} of the lines of the last {model.numbers.horizon_days} days have "
            f"a {column} training did not know ({named})"
        )
        yield _finding(f"new {column}", value, bounds.new_category, message)


def _finding(
    name: str,
    value: float,
    bound: float,
    sentence: str,
    chance: float = 0.0,
    *,
    may_alarm: bool = True,
) -> MonitorFinding:
    severity: Severity = "fine"
    size = abs(value)  # a bias has a sign: above 0, the forecasts were too high
    if size - chance > bound / 2:
        severity = "alarm" if size - chance > bound and may_alarm else "warning"
    return MonitorFinding(name, float(value), bound, severity, sentence, float(chance))
