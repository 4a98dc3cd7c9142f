"""Batch: order files in, a forecast file out, whole or not at all, with what was set aside beside it.

Customers are forecast in parts, and a journal keeps the finished ones: a run that was killed goes on
where it was, and ends with the bytes it would have ended with. A manifest tells what was made from what;
where it says that this very batch is done, nothing is done again.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...atomic_files import REJECTED, check_batch_output
from ...configs.addresses import hide_passwords, is_address
from ...configs.schema import SourceConfig
from ...errors import ConfigError, OrdersError
from ...features.attribute_features import MissingAttributes, count_missing_attributes
from ...models.batch_manifest import (
    Manifest,
    compute_batch_key,
    hash_files,
    is_done,
    locate_manifest,
)
from ...models.model import TrainedModel
from ...models.scoring import FORECAST_SCHEMA, choose_cutoff, describe_terms, forecast_rows
from ...orders import dates, windows
from ...orders.cutoffs import check_cutoff_in_span
from ...orders.orders import Orders
from ...orders.reading.customer_attributes import Facts, attach_facts, read_facts
from ...orders.reading.files import list_files
from ...orders.reading.memory_estimate import parse_memory_limit
from ...orders.reading.sharding import Progress, Shards, read_shards
from ...orders.reading.validation_issues import REJECTED_SCHEMA, pluralize
from .checkpoint import Checkpoint, open_checkpoint, remove_leftovers
from .checkpointed_forecasts import CheckpointedForecasts
from .customer_filter import read_ids, select_customers
from .database import check_writable_table, write_tables
from .output_files import write_file, write_folder

__all__ = ["BatchResult", "score_files"]

_PART = 50_000  # customers


@dataclass(frozen=True)
class BatchResult:
    """What a batch did, for people and for schedulers."""

    output: Path | str  # an address as it may be shown, of a database
    rejected: Path | str
    manifest: Path | None  # a table and a folder of Spark have none
    model_version: str
    cutoff: str
    customers: int
    expected_spend: float
    clv: float
    churn_rate: float  # mean churn probability
    customers_without_orders: int
    lines_set_aside: int
    remarks: tuple[str, ...]
    was_done: bool  # an earlier run had made this very output
    parts_resumed: int  # parts that a killed run had finished


def score_files(
    model: TrainedModel,
    source: str | None,
    output: str | Path,
    cutoff: dates.Instant | None = None,
    memory_limit: str | None = None,
    progress: Progress = lambda what, share, count: None,
    *,
    query: str | None = None,
    customers: str | None = None,
    only_customers: Path | None = None,
    partitions: int = 0,
    force: bool = False,
) -> BatchResult:
    """Score the orders of `source` (unset: those of the model's configuration) into `output`.

    The output is a .parquet or .csv file, with rejected.parquet beside it, or a database's ADDRESS#TABLE,
    with what was set aside in TABLE_rejected. `customers` names their attributes, for a model that needs any.
    Orders that need more than `memory_limit` (such as `2GB`; half of the machine's where unset) are scored in
    shards of customers, by temporary files beside the output; the forecasts are the same. With
    `partitions`, `output` is a folder of that many parquet files; a customer's is told by a hash of its id.
    `only_customers` names a file of customer ids, one a line or in a column customer_id. A batch that is
    done already, from files into files, is left as it is unless `force`. On any error earlier outputs stay as they were.
    """
    if is_address(str(output)):
        check_writable_table(str(output), FORECAST_SCHEMA)
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "forecasts.parquet"
            result = score_files(
                model, source, scratch, cutoff, memory_limit, progress,
                query=query, customers=customers, only_customers=only_customers,
            )  # fmt: skip
            tables = pq.read_table(scratch), pq.read_table(result.rejected)
        write_tables(str(output), *tables)
        shown = hide_passwords(str(output))
        return replace(result, output=shown, rejected=f"{shown}_rejected", manifest=None)
    output = Path(output)
    config = model.orders if source is None else model.orders.reading(source, query)
    if not config.all_sources():
        raise ConfigError("score needs --orders, or a --config that names them")
    model.check_reading(config)
    rejected = output / REJECTED if partitions else output.with_name(REJECTED)
    manifest = locate_manifest(output, is_folder=bool(partitions))
    about = _about_customers(model, customers)
    places = [*config.all_sources(), *([SourceConfig(source=about)] if about else [])]
    inputs = [path for place in places for path in list_files(place)]
    check_batch_output(inputs, output, rejected, manifest, partitions)
    wanted = None if only_customers is None else read_ids(only_customers)
    stated = None if cutoff is None else dates.parse_instant(cutoff)
    named = None if wanted is None else sorted(wanted)
    settings = [stated, named, partitions, output.suffix.lower()]
    # what a database holds has no digest: it is asked again
    force = force or any(is_address(place.source) for place in places)
    facts = None
    if about is not None and model.customers is not None:
        facts = read_facts(customers, model.customers, config.timezone)
    input_sha256 = hash_files(inputs)
    key, config_sha256 = compute_batch_key(model, input_sha256, settings)
    done = None if force else is_done(manifest, key)
    if done is not None:
        remove_leftovers(output, key)
        return _result(done, output, rejected, manifest, was_done=True)
    limit = parse_memory_limit(memory_limit)
    with (
        read_shards(
            config, limit, own_names_too=True, folder=output.parent, progress=progress
        ) as shards,
        open_checkpoint(output, key) as finished,
    ):
        if force:
            finished.clear()
        instant = choose_cutoff(model, shards.end, cutoff, is_stated=bool(config.complete_until))
        horizon = model.numbers.horizon_days
        concern = check_cutoff_in_span(shards.first, shards.end, instant, horizon)
        found, told = _forecast(model, shards, instant, finished, wanted, facts, progress)
        about_facts = facts.remarks if facts else ()
        remarks = [*shards.report.remarks, *about_facts, *told, *([concern] if concern else [])]
        summary = Manifest(
            key=key,
            model_version=model.version,
            cutoff=dates.format_iso(instant),
            input_sha256=input_sha256,
            config_sha256=config_sha256,
            made_with=describe_terms(model),
            rows=0,
            totals={},
            customers_without_orders=len(found.without),
            lines_set_aside=found.set_aside.num_rows,
            remarks=tuple(remarks),
            files={},
        )
        if partitions:
            summary = write_folder(found, output, summary, partitions)
        else:
            summary = write_file(found, output, summary)
        finished.close()
    result = _result(summary, output, rejected, manifest, was_done=False)
    return replace(result, parts_resumed=found.resumed)


def _forecast(
    model: TrainedModel,
    shards: Shards,
    instant: int,
    finished: Checkpoint,
    wanted: set[str] | None,
    facts: Facts | None,
    progress: Progress,
) -> tuple[CheckpointedForecasts, list[str]]:
    """Forecast what the journal does not hold yet, shard by shard and part by part."""
    parts, without, resumed, n_wanted = [], [pa.array([], pa.string())], 0, 0
    if model.own_cuts is not None and shards.count > 1:
        raise ConfigError(
            "segments cut within a file need all of it in memory; raise memory_limit, or leave "
            "segments.within_file out"
        )
    unknown = MissingAttributes()
    for number, orders in enumerate(shards):
        if facts is not None:
            orders, _ = attach_facts(orders, facts)
        if wanted is not None:
            orders = select_customers(orders, wanted)
            n_wanted += orders.n_customers
        known = windows.slice_observed(model.usable_columns(orders), instant)
        unknown += count_missing_attributes(known, model.numbers.attributes, instant)
        most = max(known.n_customers, 1) if model.own_cuts is not None else _PART
        prefix = f"shard-{number:03d}-of-{shards.count:03d}"
        for low, name, is_old in _parts(model, known, instant, finished, prefix, most):
            resumed += is_old
            parts.append(name)
            ids = finished.read(name)["customer_id"].combine_chunks()
            own = known.customer_ids[low : low + most]
            without.append(own.filter(pc.invert(pc.is_in(own, ids))))
            if shards.count == 1 and not is_old:  # the rate is of this run
                done = min(low + most, known.n_customers)
                progress("customers", done / known.n_customers, done)
        late = pc.invert(pc.is_in(orders.customer_ids, known.customer_ids))
        without.append(orders.customer_ids.filter(late))
    others = pa.concat_arrays(without)
    report = shards.report
    told = unknown.sentences()
    if wanted is not None:
        missing = len(wanted) - n_wanted
        if not n_wanted:
            raise OrdersError("none of the customers named in --only-customers has an order line")
        if missing:
            told += [
                f"{pluralize(missing, 'customer')} named in --only-customers have no order line"
            ]
    found = CheckpointedForecasts(
        finished,
        parts,
        resumed,
        shards.count == 1,
        report.rejected_lines or REJECTED_SCHEMA.empty_table(),
        others.take(pc.array_sort_indices(others)),
    )
    return found, told


def _parts(
    model: TrainedModel, known: Orders, instant: int, finished: Checkpoint, prefix: str, most: int
) -> Iterator[tuple[int, str, bool]]:
    """Forecast `most` customers at a time, some parts at once: the first customer's place, the part's name,
    and whether an earlier run had finished it.
    """

    def part(low: int) -> tuple[int, str, bool]:
        name = f"{prefix}-from-{low:09d}"
        is_old = finished.has(name)
        if not is_old:
            finished.write(
                name, forecast_rows(model, known.slice_customers(low, low + most), instant)
            )
        return low, name, is_old

    threads = os.cpu_count() or 1
    lows = range(0, known.n_customers, most)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(part, low) for low in lows[:threads])
        for low in lows[threads:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(part, low))
        while waiting:
            yield waiting.popleft().result()


def _result(
    summary: Manifest, output: Path, rejected: Path, manifest: Path, *, was_done: bool
) -> BatchResult:
    return BatchResult(
        output=output,
        rejected=rejected,
        manifest=manifest,
        model_version=summary.model_version,
        cutoff=dates.format_instant(dates.parse_instant(summary.cutoff)),
        customers=summary.rows,
        expected_spend=summary.totals["expected_spend"],
        clv=summary.totals["clv"],
        churn_rate=summary.totals["churn_probability"] / max(summary.rows, 1),
        customers_without_orders=summary.customers_without_orders,
        lines_set_aside=summary.lines_set_aside,
        remarks=summary.remarks,
        was_done=was_done,
        parts_resumed=0,
    )


def _about_customers(model: TrainedModel, customers: str | None) -> str | None:
    """Where a model that needs attributes of customers finds them."""
    if model.customers is None:
        if customers is not None:
            raise ConfigError("--customers was given, and the model learned from no attributes")
        return None
    return customers or model.customers.source
