"""Data shift: candidate and champion on today's orders; these orders and the champion's.

A model may do well on the past and still be fed by broken orders: here it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import ClvcastError
from ...evaluation import standard_measures
from ...evaluation.bootstrap import ConfidenceInterval
from ...features.table import FeatureRows, compute_feature_rows
from ...models.model import TrainedModel
from ...models.scoring import forecast_rows
from ...orders import dates, windows
from ...orders.columns import Int64, Text
from ...orders.order_totals import OrderTotals
from ...orders.orders import Orders
from ..run import TrainingRun
from .evidence import DataShift, SegmentResult

__all__ = [
    "RECORD_FILE",
    "Champion",
    "Month",
    "Record",
    "assign_segments_at",
    "build_record",
    "compare_history",
    "find_schema_changes",
    "measure_data_shift",
    "parse_record",
]


_TIERS = (0.5, 0.8)  # of customers by spend before the cutoff: low, medium, high
RECORD_FILE = "training.json"  # among the run's artifacts


class Month(BaseModel):
    """What the orders held of one whole calendar month."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: int
    money: float  # net, in the shop's currency


class Record(BaseModel):
    """When a training ended, what it knew, and how its evaluation came out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    first: str  # ISO, of the first line
    end: str  # ISO; nothing at or after it was read
    customers: int | None  # all of the shop's, sampled or not; None where not counted
    months: Mapping[str, Month]  # of all customers; empty where not counted
    share: float = 1.0  # of the shop's customers who were trained on
    evaluated: str | None
    methods: Mapping[str, Mapping[str, float | None]]  # method -> measure -> value


def build_record(run: TrainingRun) -> Record:
    """The record of a finished training."""
    evaluation = run.evaluation
    evaluated = evaluation.newest if evaluation else None
    totals = run.totals
    months = totals.sum_whole_months(run.cutoff) if totals else {}
    first = totals.first_order_at if totals else windows.find_first_order_at(run.known)
    return Record(
        first=dates.format_iso(first),
        end=dates.format_iso(run.cutoff),
        customers=len(totals.first_orders) if totals else None,
        share=run.share,
        months={n: Month(lines=lines, money=money) for n, (lines, money) in months.items()},
        evaluated=evaluated,
        methods=evaluation.metrics[evaluated]["methods"] if evaluation and evaluated else {},
    )


def parse_record(text: str | None) -> Record | None:
    """A record as it was kept; None where there is none, or none that can be read."""
    if text is None:
        return None
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None


@dataclass(frozen=True)
class Champion:
    """What serves now, as far as it can still be had."""

    version: str
    model: TrainedModel | None
    record: Record | None
    trouble: str = ""  # why there is no model
    is_provisional: bool = False  # it serves although nothing was there to judge it by


def _label_segments(known: Orders, rows: FeatureRows) -> dict[str, Text]:
    """Kind of segment -> each row's label: tier by past spend, cohort by quarter, main channel.

    `rows` are those of `known` at one cutoff. The channel is the one most lines came through.
    """
    spend = rows.columns(("spend_total",))[:, 0].astype(np.float64)
    cuts = np.quantile(spend, _TIERS) if len(spend) else np.zeros(2)
    tier = np.array(["low", "medium", "high"], dtype=object)[np.searchsorted(cuts, spend)]
    firsts = known.times[known.starts[:-1]][rows.customer_index]
    labels = {"tier": tier, "cohort": np.array(dates.format_quarters(firsts), dtype=object)}
    if "channel" in known.texts:
        labels["channel"] = _find_main_channel(known)[rows.customer_index]
    return labels


def assign_segments_at(known: Orders, cutoff: int) -> list[tuple[str, Int64]]:
    """Each segment's name, such as `tier high`, and its rows among the forecasts at the cutoff."""
    rows = compute_feature_rows(replace(known, extra=None), np.array([cutoff], dtype=np.int64))
    return [
        (f"{kind} {label}", np.flatnonzero(labels == label))
        for kind, labels in _label_segments(known, rows).items()
        for label in sorted(set(labels.tolist()))
    ]


def _find_main_channel(orders: Orders) -> Text:
    """Per customer the channel of most lines (of equal ones the first by name), or `none`."""
    column = orders.texts["channel"]
    lines = pd.DataFrame({"customer": orders.customer_of_line(), "code": column.codes})
    counts = lines[lines["code"] >= 0].value_counts().rename("lines").reset_index()
    best_first = counts.sort_values(["lines", "code"], ascending=[False, True])
    main = best_first.drop_duplicates("customer")
    labels = np.full(orders.n_customers, "none", dtype=object)
    labels[main["customer"]] = column.labels.take(pa.array(main["code"])).to_pylist()
    return labels


def find_schema_changes(
    candidate: TrainedModel, champion: TrainedModel | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns only the candidate needs, and settings that change the meaning of forecasts."""
    if champion is None:
        return (), ()
    ours, theirs = candidate.numbers, champion.numbers
    settings = {
        "horizon_days": (ours.horizon_days, theirs.horizon_days),
        "periods": (ours.periods, theirs.periods),
        "target": (ours.settings.get("target"), theirs.settings.get("target")),
        "currency": (ours.orders.currency, theirs.orders.currency),
    }
    new = [name for name in ours.optional_columns if name not in theirs.optional_columns]
    changed = [
        f"{k} {new_value} instead of {old}"
        for k, (new_value, old) in settings.items()
        if new_value != old
    ]
    return tuple(new), tuple(changed)


def measure_data_shift(run: TrainingRun, champion: Champion) -> DataShift:
    """Both models on the orders known at the run's cutoff; what cannot be measured is None."""
    record = champion.record
    feed = DataShift()
    if record and run.totals:
        feed = compare_history(run.totals, run.cutoff, record)
    model = champion.model
    if model is None or model.numbers.horizon_days != run.model.numbers.horizon_days:
        return feed
    try:
        theirs = forecast_rows(model, run.known, run.cutoff)
    except ClvcastError:
        return feed  # the champion cannot read these orders: the schema rule says why
    ours = forecast_rows(run.model, run.known, run.cutoff)
    our_spend, other = (table["expected_spend"].to_numpy() for table in (ours, theirs))
    churn = [float(np.mean(table["churn_probability"].to_numpy())) for table in (ours, theirs)]
    parts = []
    for name, rows in assign_segments_at(run.known, run.cutoff):
        ratio = _divide(our_spend[rows].sum(), other[rows].sum())
        if ratio is not None:
            parts.append(SegmentResult(name, len(rows), ConfidenceInterval(ratio, ratio, ratio)))
    return replace(
        feed,
        total=_divide(our_spend.sum(), other.sum()),
        churn_rate=churn[0] - churn[1],
        rank_correlation=standard_measures.spearman(our_spend, other),
        segments=tuple(parts),
    )


def compare_history(totals: OrderTotals, cutoff: int, record: Record) -> DataShift:
    """All orders before a cutoff against those before a training, as far as both reach back."""
    end, first = dates.parse_instant(record.end), dates.parse_instant(record.first)
    if end > cutoff:
        return DataShift()  # trained on newer orders than these
    months = totals.sum_whole_months(end)
    both = [name for name in record.months if name in months]
    # a month that is gone within the time both cover counts as empty; one before it was let go
    both += [name for name in record.months if name not in months and name > min(both, default="~")]
    then = [record.months[name] for name in both]
    now = [months.get(name, (0, 0.0)) for name in both]
    customers = None
    if record.customers is not None and totals.first_order_at <= first:
        customers = _divide(totals.count_customers(end), record.customers)
    return DataShift(
        lines=_divide(sum(n for n, _ in now), sum(month.lines for month in then)),
        money=_divide(sum(m for _, m in now), sum(month.money for month in then)),
        customers=customers,
    )


def _divide(left: float, right: float) -> float | None:
    return float(left / right) if right > 0 else None
