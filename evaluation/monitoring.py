"""monitor: were the forecasts right? Until that is known: are the customers still the same?

A forecast is mature when its window lies wholly before the newest order's midnight. Then what
happened is joined by customer: bias, calibration, coverage of the 90 % intervals, and the capture
of the top tenth, in money, for all and per model version, tier, segment and risk; `outcomes` judges
them. Before that, features and forecasts are compared with the reference in the model's bundle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..atomic_files import write_tables
from ..configs.schema import Config, MonitorConfig, Target, require_config
from ..errors import ConfigError
from ..features.catalogue import CATALOGUE
from ..features.table import compute_feature_rows
from ..features.targets import compute_targets
from ..models.drift_reference import build_histogram, compute_stability_index, count_unknown_shares
from ..models.forecast_terms import ForecastTerms
from ..models.model import TrainedModel
from ..models.totals import SEGMENT_SHOCK, total_of_sums
from ..orders import dates, windows
from ..orders.columns import Float64, Mask
from ..orders.cutoffs import get_default_cutoff, get_newest_realised_cutoff
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from . import measures
from .dictionary import build_dictionary
from .forecast_file import ForecastSource, read_forecast_history
from .monitor_findings import MonitorFinding, Severity, make_finding
from .outcomes import ClvProgress, describe_outcomes, judge_clv, judge_outcomes
from .sampling_error import (
    estimate_calibration_noise,
    estimate_capture_noise,
    estimate_total_noise,
)

__all__ = ["MonitorFinding", "Monitoring", "Severity", "is_mature", "monitor"]

_ORDER: tuple[Severity, ...] = ("fine", "warning", "alarm")
_PARTS = ("model_version", "tier", "rfm_segment", "risk")
# one feature moves by time alone (a shop's oldest customers grow older): many at once do not
_MOST_MOVED = 0.25
_OF_THE_CALENDAR = {
    feature.name for feature in CATALOGUE if feature.group in ("season", "calendar")
}


_FINDING = [field.name for field in fields(MonitorFinding)]


@dataclass(frozen=True)
class Monitoring:
    """All findings, and the measures of matured forecasts: a row per cutoff and customer group."""

    findings: tuple[MonitorFinding, ...]
    matured: pd.DataFrame
    terms: ForecastTerms | None = None  # None: the forecasts do not say
    headlines: tuple[str, ...] = ()  # three per cutoff that is over: total, segments, CLV

    @property
    def severity(self) -> Severity:
        """The worst of all."""
        return max((f.severity for f in self.findings), key=_ORDER.index, default="fine")

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write findings, matured and dictionary into `folder`, all or none."""
        findings = pd.DataFrame([asdict(finding) for finding in self.findings], columns=_FINDING)
        matured = self.matured
        if len(matured):
            basis = "unknown" if self.terms is None else self.terms.spend_basis
            matured = matured.assign(basis=basis)
        tables: dict[str, pd.DataFrame | pa.Table] = {"findings": findings, "matured": matured}
        tables["dictionary"] = build_dictionary(tables, self.terms)
        write_tables(folder, tables, ending)


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
    history = read_forecast_history(forecasts)
    horizon_days, target = _resolve_window(history.terms, model, config)
    bounds = require_config(config).monitor
    mapping = model.orders if model else require_config(config).orders
    rows = history.rows.replace_schema_metadata().to_pandas()
    order_lines = coerce_orders(orders, mapping)
    end = get_default_cutoff(order_lines)
    findings: list[MonitorFinding] = []
    headlines: list[str] = []
    matured = []
    for cutoff, group in rows.groupby("cutoff", sort=True):
        instant = dates.parse_instant(pd.Timestamp(str(cutoff)))
        over = _find_window_end(instant, horizon_days)
        if is_mature(instant, horizon_days, end):
            findings += _find_missing(group, order_lines, instant, bounds)
            table = _measure_matured(group, order_lines, instant, horizon_days, end, target)
            matured.append(table)
            clv = _measure_clv(group, order_lines, instant, end, history.terms)
            findings += judge_outcomes(table, bounds)
            findings += judge_clv(clv, bounds) if clv else []
            headlines += describe_outcomes(table, clv, bounds)
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
            findings += _find_drift(group, order_lines, instant, model, bounds)
    joined = pd.concat(matured, ignore_index=True) if matured else pd.DataFrame()
    return Monitoring(tuple(findings), joined, history.terms, tuple(headlines))


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
    stated_terms: list[tuple[str, str, object]] = []
    if model is not None:
        stated_terms.append(("the model", "horizon_days", model.numbers.horizon_days))
        stated_terms.append(("the model", "target", model.numbers.target))
        stated_terms.append(("the model", "orders.currency", model.orders.currency))
    if config is not None:
        for key in ("horizon_days", "target"):
            if key in config.model_fields_set:
                stated_terms.append(("the configuration", key, getattr(config, key)))
        stated_terms.append(("the configuration", "orders.currency", config.orders.currency))
    file_terms = terms.keys()
    for who, key, value in stated_terms:
        if value and key in file_terms and file_terms[key] != value:
            raise ConfigError(
                f"the forecasts were made with {key} {file_terms[key]}, {who} says "
                f"{value}; give the forecasts, model and configuration of one shop"
            )
    return terms.horizon_days, terms.target


def is_mature(cutoff: int, horizon_days: int, end: int) -> bool:
    """Whether the prediction window of forecasts at a cutoff lies wholly before `end`."""
    return bool(windows.is_realised(np.array([_find_window_end(cutoff, horizon_days)]), end)[0])


def _find_window_end(cutoff: int, horizon_days: int) -> int:
    return int(windows.compute_period_ends(np.array([cutoff]), horizon_days, 1)[0, 1])


def _find_missing(
    group: pd.DataFrame, orders: Orders, cutoff: int, bounds: MonitorConfig
) -> Iterator[MonitorFinding]:
    """Customers with a forecast and no order before its cutoff: lines were lost since."""
    present = windows.slice_observed(orders, cutoff).customer_ids.to_pandas()
    share = float((~group["customer_id"].isin(present)).mean())
    yield make_finding(
        "missing customers", share, bounds.missing_customers,
        f"{share:.1%} of the customers forecast at {dates.format_instant(cutoff)} are not "
        "in the orders",
    )  # fmt: skip


def _measure_matured(
    group: pd.DataFrame,
    orders: Orders,
    cutoff: int,
    horizon_days: int,
    end: int,
    target: Target = "spend",
) -> pd.DataFrame:
    """Measures of one cutoff's forecasts, for all and by part; money in the shop's currency."""
    at = np.array([cutoff], dtype=np.int64)
    observed = windows.slice_observed(orders, cutoff)
    rows = compute_feature_rows(replace(observed, extra=None), at)
    happened = compute_targets(orders, rows, at, horizon_days, 1, end, target)
    ids = observed.customer_ids.take(pa.array(rows.customer_index)).to_pandas()
    actual = pd.DataFrame({"spend": happened.spend[:, 0], "churned": happened.churned}, index=ids)
    joined = actual.reindex(group["customer_id"])
    # a customer the orders no longer hold spent nothing that is known of, and is counted as missing
    spend = joined["spend"].fillna(0.0).to_numpy(dtype=np.float64)
    churned = joined["churned"].astype("boolean").fillna(True).to_numpy(dtype=bool)
    parts = [("all", "", np.ones(len(group), dtype=bool))]
    for name in (part for part in _PARTS if part in group):
        labels = group[name].astype(str).to_numpy()
        parts += [(name, label, labels == label) for label in sorted(set(labels))]
    measure_rows = [
        {"cutoff": dates.format_instant(cutoff), "part": part, "value": value}
        | _measure_group(group[inside], spend[inside], churned[inside], is_part=not inside.all())
        for part, value, inside in parts
    ]
    return pd.DataFrame(measure_rows)


def _measure_group(
    group: pd.DataFrame, spend: Float64, churned: Mask, *, is_part: bool
) -> dict[str, object]:
    expected = group["expected_spend"].to_numpy(dtype=np.float64)
    probability = group["churn_probability"].to_numpy(dtype=np.float64)
    coverage = float("nan")
    names = ["expected_spend_lower", "expected_spend_upper"]
    if all(name in group and group[name].notna().all() for name in names):
        lower, upper = (group[name].to_numpy(dtype=np.float64) for name in names)
        coverage = measures.coverage(lower, upper, np.maximum(spend, 0.0))
    interval = _sum_interval(group, "expected_spend", is_part=is_part)
    captured, perfect = (measures.select_top_tenth(by, spend) for by in (expected, spend))
    best = float(perfect.sum())
    return {
        "customers": len(group),
        "forecast": float(expected.sum()),
        "actual": float(spend.sum()),
        "lower": interval[0],
        "upper": interval[1],
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


def _sum_interval(group: pd.DataFrame, value: str, *, is_part: bool = False) -> tuple[float, float]:
    """The 90 % interval of a sum of forecasts; NaN where they do not carry what it takes."""
    kind = {"expected_spend": "spend", "clv": "clv"}[value]
    names = (f"{kind}_deviation", f"{kind}_shock")
    if not all(name in group and group[name].notna().all() for name in names):
        return float("nan"), float("nan")
    sums = total_of_sums(
        math.fsum(group[value]),
        math.fsum(group[names[0]] ** 2),
        float(group[names[1]].max()),
        SEGMENT_SHOCK if is_part else 0.0,
    )
    return sums["lower"], sums["upper"]


def _measure_clv(
    group: pd.DataFrame, orders: Orders, cutoff: int, end: int, terms: ForecastTerms | None
) -> ClvProgress | None:
    """What of the CLV has been realised in the periods that are over; None without the terms."""
    if terms is None:
        return None
    at = np.array([cutoff], dtype=np.int64)
    ends = windows.compute_period_ends(at, terms.horizon_days, terms.periods)[0, 1:]
    n_over = int(windows.is_realised(ends, end).sum())
    observed = windows.slice_observed(orders, cutoff)
    rows = compute_feature_rows(replace(observed, extra=None), at)
    happened = compute_targets(orders, rows, at, terms.horizon_days, n_over, end, terms.target)
    ids = observed.customer_ids.take(pa.array(rows.customer_index)).to_pandas()
    is_forecast = ids.isin(group["customer_id"]).to_numpy()
    spend = happened.spend[is_forecast].sum(axis=0)
    years = np.arange(n_over) * terms.horizon_days / dates.RATE_YEAR_DAYS
    discounts = (1.0 + terms.annual_discount_rate) ** -years
    lower, upper = _sum_interval(group, "clv")
    return ClvProgress(
        cutoff=dates.format_instant(cutoff),
        forecast=math.fsum(group["clv"]),
        lower=lower,
        upper=upper,
        first=terms.margin_rate * math.fsum(group["expected_spend"]),
        realised=float(terms.margin_rate * (spend * discounts).sum()),
        periods_over=n_over,
        periods=terms.periods,
    )


def _find_drift(
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
    yield from _find_missing(group, orders, cutoff, bounds)
    for name, then in reference.forecasts.items():
        value = compute_stability_index(
            then, build_histogram(group[name].to_numpy(dtype=np.float64), then.edges)
        )
        message = f"forecasts of {name} moved by PSI {value:.2f} since training"
        yield make_finding(f"forecast {name}", value, bounds.psi, message)
    if missing:
        return
    observed = windows.slice_observed(model.usable_columns(orders), cutoff)
    rows = compute_feature_rows(observed, np.array([cutoff], dtype=np.int64))
    moved = []
    for name in (name for name in reference.features if name not in _OF_THE_CALENDAR):
        then = reference.features[name]
        values = rows.columns((name,))[:, 0].astype(np.float64)
        value = compute_stability_index(then, build_histogram(values, then.edges))
        moved.append(value > bounds.psi)
        message = f"the feature {name} moved by PSI {value:.2f} since training"
        yield make_finding(f"feature {name}", value, bounds.psi, message, may_alarm=False)
    share = sum(moved) / max(len(moved), 1)
    message = f"{sum(moved)} of {len(moved)} features moved by more than PSI {bounds.psi:g}"
    yield make_finding("features moved", share, _MOST_MOVED, message)
    since = get_newest_realised_cutoff(cutoff, model.numbers.horizon_days)
    newest = observed.keep_lines(~windows.is_before(observed.times, since))
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
        yield make_finding(f"new {column}", value, bounds.new_category, message)
