"""Batch: order files in, a forecast file out, whole or not at all, with what was set aside beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ConfigError
from ..features import windows
from ..features.faults import REJECTED_SCHEMA, rejected_table
from ..features.reading import read
from ..features.sources import find_files
from .model import Model
from .outputs import check_writable, write_files
from .scorer import forecast_rows

__all__ = ["BatchResult", "score_files"]


@dataclass(frozen=True)
class BatchResult:
    """What a batch did, for people and for schedulers."""

    output: Path
    rejected: Path
    model_version: str
    cutoff: str
    customers: int
    expected_spend: float
    clv: float
    churn_rate: float  # mean churn probability
    customers_without_orders: int
    lines_set_aside: int
    remarks: tuple[str, ...]


def score_files(
    model: Model,
    source: str,
    output: Path,
    cutoff: windows.Instant | None = None,
) -> BatchResult:
    """Score the orders of `source` into `output` (.parquet or .csv), and write rejected.parquet beside it.

    On any error earlier outputs stay as they were.
    """
    rejected = output.with_name("rejected.parquet")
    _check_output(source, output, rejected)
    orders = read(model.orders.model_copy(update={"source": source}), own_names_too=True)
    instant = windows.default_cutoff(orders) if cutoff is None else windows.as_instant(cutoff)
    concern = windows.check_cutoff(orders, instant, model.numbers.horizon_days)
    forecasts = forecast_rows(model, orders, instant)
    scored = pc.is_in(orders.customer_ids, forecasts["customer_id"].combine_chunks())
    without = orders.customer_ids.filter(pc.invert(scored))
    set_aside = orders.report.rejected_lines or REJECTED_SCHEMA.empty_table()
    reason = f"the customer has no order before {windows.shown(instant)}"
    no_orders = rejected_table("", None, reason, customer_ids=without)
    write_files({output: forecasts, rejected: pa.concat_tables([set_aside, no_orders])})
    remarks = orders.report.remarks if concern is None else (*orders.report.remarks, concern)
    churn = pc.mean(forecasts["churn_probability"]).as_py()
    return BatchResult(
        output=output,
        rejected=rejected,
        model_version=model.version,
        cutoff=windows.shown(instant),
        customers=forecasts.num_rows,
        expected_spend=float(np.sum(forecasts["expected_spend"].to_numpy())),
        clv=float(np.sum(forecasts["clv"].to_numpy())),
        churn_rate=churn or 0.0,
        customers_without_orders=len(without),
        lines_set_aside=set_aside.num_rows,
        remarks=remarks,
    )


def _check_output(source: str, output: Path, rejected: Path) -> None:
    """Refuse outputs that cannot be written, or would replace the orders or each other."""
    check_writable(output)
    if output.name == rejected.name:
        raise ConfigError(f"the output must not be {rejected.name}, where rejected lines go")
    inputs = {path.resolve() for path in find_files(source)}
    for path in (output, rejected):
        if path.resolve() in inputs:
            raise ConfigError(f"the output would replace the orders {path}; name another file")
