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
from ..features.memory import limit_in_bytes
from ..features.shards import Progress, read_shards
from ..features.sources import find_files
from .model import Model
from .outputs import check_writable, write_files
from .sharded import forecast_shards

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
    memory_limit: str | None = None,
    progress: Progress = lambda what, share: None,
) -> BatchResult:
    """Score the orders of `source` into `output` (.parquet or .csv), and write rejected.parquet beside it.

    Orders that need more than `memory_limit` (such as `2GB`; half of the machine's where unset) are scored in
    shards of customers, by temporary files beside the output; the forecasts are the same. On any error
    earlier outputs stay as they were.
    """
    rejected = output.with_name("rejected.parquet")
    _check_output(source, output, rejected)
    config = model.orders.model_copy(update={"source": source})
    limit = limit_in_bytes(memory_limit)
    with read_shards(
        config, limit, own_names_too=True, folder=output.parent, progress=progress
    ) as shards:
        newest = windows.midnight_after(shards.newest)
        instant = newest if cutoff is None else windows.as_instant(cutoff)
        concern = windows.check_cutoff_in_span(
            shards.first, shards.newest, instant, model.numbers.horizon_days
        )
        forecasts, without = forecast_shards(model, shards, instant)
    report = shards.report
    set_aside = report.rejected_lines or REJECTED_SCHEMA.empty_table()
    reason = f"the customer has no order before {windows.shown(instant)}"
    no_orders = rejected_table("", None, reason, customer_ids=without)
    write_files({output: forecasts, rejected: pa.concat_tables([set_aside, no_orders])})
    remarks = report.remarks if concern is None else (*report.remarks, concern)
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
