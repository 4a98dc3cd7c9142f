"""Batch: order files in, a forecast file out, all or nothing, with rejected lines beside it.

Customers are forecast in parts, and a checkpoint keeps finished parts: an interrupted run resumes
and ends with the same bytes. A manifest records inputs and outputs; a batch that is done already,
by its manifest, is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import joblib
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
from ...models.forecast_terms import ForecastTerms
from ...models.model import TrainedModel
from ...models.order_values import OrderValues, check_order_values, count_order_values
from ...models.plausibility import (
    PastSpend,
    describe_plausibility,
    describe_unknown,
    sum_past_spend,
)
from ...models.scoring import (
    build_forecast_schema,
    choose_cutoff,
    describe_hindsight,
    describe_terms,
    forecast_rows,
)
from ...orders import dates, windows
from ...orders.cutoffs import check_cutoff_in_span, find_complete_until
from ...orders.orders import Orders
from ...orders.reading.customer_attributes import Facts, attach_facts, read_facts
from ...orders.reading.customer_ids import load_id_rules
from ...orders.reading.files import check_unchanged, list_files, stat_files
from ...orders.reading.memory_estimate import parse_memory_limit
from ...orders.reading.rejected_lines import REJECTED_SCHEMA
from ...orders.reading.sharding import Progress, Shards, read_shards
from ...orders.reading.temporary_folder import make_temporary_folder
from ...orders.reading.validation_issues import pluralize
from .checkpoint import Checkpoint, CheckpointedForecasts, open_checkpoint, remove_leftovers
from .customer_filter import read_ids, select_customers
from .database import check_writable_table, write_tables
from .output_files import write_file, write_folder

__all__ = ["BatchResult", "score_files"]

_PART = 50_000  # customers


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch, for users and schedulers."""

    output: Path | str  # a database's address without passwords
    rejected: Path | str
    manifest: Path | None  # None for a database and for Spark
    model_version: str
    cutoff: str
    customers: int
    expected_spend: float
    clv: float
    churn_rate: float | None  # mean churn probability; None of no customers
    customers_without_orders: int
    lines_set_aside: int
    remarks: tuple[str, ...]
    was_done: bool  # an earlier run had finished this batch
    parts_resumed: int  # parts that an interrupted run had finished
    plausibility: tuple[str, ...] = ()  # the totals beside what the customers spent before


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
    by_period: bool = False,
    periods_table: Path | None = None,
) -> BatchResult:
    """Score the orders of `source` (unset: those of the model's configuration) into `output`.

    The output is a .parquet or .csv file, with rejected.parquet beside it, or a database's
    ADDRESS#TABLE, with rejected lines in TABLE_rejected. `customers` is the file of customer
    attributes, for a model that needs any. Orders that need more memory than `memory_limit` (such
    as `2GB`; by default half of the machine's) are scored in shards of customers, with temporary
    files beside the output; the forecasts are the same. With `partitions`, `output` is a folder of
    that many parquet files, and a hash of the id decides a customer's file. `only_customers` is a
    file of customer ids, one per line or in a column customer_id. A batch from files into files
    that is done already is skipped unless `force`. On any error earlier outputs stay as they were.
    `by_period` adds the columns `spend_period_1` to `spend_period_n`; `periods_table` is a file
    beside the output with these alone.
    """
    schema = build_forecast_schema(model.periods if by_period else 0)
    if periods_table is not None:
        _check_periods_table(periods_table, output, partitions)
    if is_address(str(output)):
        check_writable_table(str(output), schema)
        with make_temporary_folder() as folder:
            scratch = folder / "forecasts.parquet"
            result = score_files(
                *(model, source, scratch, cutoff, memory_limit, progress),
                query=query,
                customers=customers,
                only_customers=only_customers,
                by_period=by_period,
            )
            tables = pq.read_table(scratch), pq.read_table(result.rejected)
        write_tables(str(output), *tables)
        output_name = hide_passwords(str(output))
        return replace(
            result, output=output_name, rejected=f"{output_name}_rejected", manifest=None
        )
    output = Path(output)
    config = model.orders if source is None else model.orders.reading(source, query)
    if not config.all_sources():
        raise ConfigError("score needs --orders, or a --config that names them")
    model.check_reading(config)
    model.check_extra_features()
    rejected = output / REJECTED if partitions else output.with_name(REJECTED)
    manifest = locate_manifest(output, is_folder=bool(partitions))
    attributes = _find_attributes(model, customers)
    sources = [*config.all_sources(), *([SourceConfig(source=attributes)] if attributes else [])]
    inputs = [path for place in sources for path in list_files(place)]
    inputs += [Path(p) for p in (config.customer_aliases, config.exchange_rates) if p]
    check_batch_output(inputs, output, rejected, manifest, partitions)
    selection = None if only_customers is None else read_ids(only_customers, load_id_rules(config))
    stated_cutoff = None if cutoff is None else dates.parse_instant(cutoff)
    ids = None if selection is None else sorted(selection)
    end = find_complete_until(config, datetime.now())  # `today` is another day tomorrow
    settings: list[Any] = [stated_cutoff, end, ids, partitions, output.suffix.lower()]
    if by_period or periods_table is not None:
        settings.append([by_period, periods_table and periods_table.name])
    # a database, or a function, has no digest that would tell whether it changed: score again
    force = force or any(is_address(place.source) for place in sources)
    force = force or bool(model.numbers.extra_features)
    facts = None
    if attributes is not None and model.customers is not None:
        facts = read_facts(customers, model.customers, config)
    states = stat_files(inputs)
    input_sha256 = hash_files(inputs)
    key, config_sha256 = compute_batch_key(model, input_sha256, settings)
    done = None if force else is_done(manifest, key)
    if done is not None:
        remove_leftovers(output, key)
        return _build_result(done, output, rejected, manifest, was_done=True)
    limit = parse_memory_limit(memory_limit)
    with (
        read_shards(
            config, limit, own_names_too=True, folder=output.parent, progress=progress
        ) as shards,
        open_checkpoint(output, key) as checkpoint,
    ):
        if force:
            checkpoint.clear()
        instant = choose_cutoff(model, shards.end, cutoff, is_stated=bool(config.complete_until))
        horizon = model.numbers.horizon_days
        concern = check_cutoff_in_span(shards.first, shards.end, instant, horizon)
        forecast_part = partial(
            forecast_rows, model, by_period=by_period or periods_table is not None
        )
        forecasts, notes = _forecast(
            model, shards, instant, checkpoint, selection, facts, progress, forecast_part
        )
        check_unchanged(states, stat_files(inputs))
        forecasts = replace(forecasts, schema=schema)
        facts_remarks = facts.remarks if facts else ()
        concerns = [*([concern] if concern else []), *describe_hindsight(model, instant)]
        remarks = [*shards.report.remarks, *facts_remarks, *notes, *concerns]
        terms = describe_terms(model)
        sentences, warnings = _judge_totals(forecasts, instant, terms)
        summary = Manifest(
            key=key,
            model_version=model.version,
            cutoff=dates.format_iso(instant),
            input_sha256=input_sha256,
            config_sha256=config_sha256,
            made_with=terms,
            rows=0,
            totals={},
            customers_without_orders=len(forecasts.without),
            lines_set_aside=forecasts.set_aside.num_rows,
            remarks=(*warnings, *remarks),
            plausibility=sentences,
            files={},
        )
        if partitions:
            summary = write_folder(forecasts, output, summary, partitions)
        else:
            summary = write_file(forecasts, output, summary, periods_table)
        checkpoint.close()
    result = _build_result(summary, output, rejected, manifest, was_done=False)
    return replace(result, parts_resumed=forecasts.resumed)


def _check_periods_table(periods_table: Path, output: str | Path, partitions: int) -> None:
    """Refuse a table of periods that cannot be moved into place together with the output."""
    if partitions or is_address(str(output)):
        raise ConfigError(
            f"a periods table stands beside one output file, got the output {output}; write the "
            "columns into the output with --by-period"
        )
    if periods_table.suffix.lower() not in (".parquet", ".csv"):
        raise ConfigError(f"the periods table is a .parquet or .csv file, got {periods_table}")
    output = Path(output)
    taken = {output.name, REJECTED, locate_manifest(output, is_folder=False).name}
    if periods_table.resolve().parent != output.resolve().parent or periods_table.name in taken:
        raise ConfigError(
            f"the periods table must be a file of its own in the folder of {output}, got "
            f"{periods_table}"
        )


def _judge_totals(
    found: CheckpointedForecasts, instant: int, terms: ForecastTerms
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences on the totals beside past spend; then warnings, and what the model cannot know."""
    totals: Any = found.totals()["totals"]
    clv, spend = totals["clv"], totals["expected_spend"]
    sentences, warnings = describe_plausibility(found.past_spend, clv, spend, instant, terms)
    unknown = describe_unknown(found.first_evidence(), terms)
    return tuple(sentences), (*warnings, *([unknown] if unknown else []))


def _forecast(
    model: TrainedModel,
    shards: Shards,
    instant: int,
    checkpoint: Checkpoint,
    selection: set[str] | None,
    facts: Facts | None,
    progress: Progress,
    forecast_part: Callable[[Orders, int], pa.Table],
) -> tuple[CheckpointedForecasts, list[str]]:
    """Forecast, shard by shard, the parts that the checkpoint lacks; returned with remarks."""
    parts, without, resumed, n_selected = [], [pa.array([], pa.string())], 0, 0
    if model.own_cuts is not None and shards.count > 1:
        raise ConfigError(
            "segments.within_file needs the whole file in memory; raise memory_limit, or remove "
            "segments.within_file"
        )
    unknown, values, past = MissingAttributes(), OrderValues(), PastSpend()
    terms = describe_terms(model)
    for number, orders in enumerate(shards):
        if facts is not None:
            orders, _ = attach_facts(orders, facts)
        if selection is not None:
            orders = select_customers(orders, selection)
            n_selected += orders.n_customers
        observed = windows.slice_observed(model.usable_columns(orders), instant)
        values += count_order_values(observed, instant)
        past += sum_past_spend(observed, instant, terms)
        unknown += count_missing_attributes(observed, model.numbers.attributes, instant)
        most = max(observed.n_customers, 1) if model.own_cuts is not None else _PART
        prefix = f"shard-{number:03d}-of-{shards.count:03d}"
        for low, name, is_old in _forecast_parts(
            forecast_part, observed, instant, checkpoint, prefix, most
        ):
            resumed += is_old
            parts.append(name)
            ids = checkpoint.read(name)["customer_id"].combine_chunks()
            part_ids = observed.customer_ids[low : low + most]
            without.append(part_ids.filter(pc.invert(pc.is_in(part_ids, ids))))
            if shards.count == 1 and not is_old:  # the rate is of this run
                done = min(low + most, observed.n_customers)
                progress("customers", done / observed.n_customers, done)
        is_late = pc.invert(pc.is_in(orders.customer_ids, observed.customer_ids))
        without.append(orders.customer_ids.filter(is_late))
    strange = check_order_values(model.numbers.order_value, values)
    remarks = [*unknown.sentences(), *model.describe_settings(instant)]
    remarks += [strange] if strange else []
    if selection is not None:
        if not n_selected:
            raise OrdersError("none of the customers named in --only-customers has an order line")
        missing = pluralize(len(selection) - n_selected, "customer")
        if n_selected < len(selection):
            remarks.append(f"{missing} named in --only-customers have no order line")
    without_orders = pa.concat_arrays(without)
    forecasts = CheckpointedForecasts(
        checkpoint,
        parts,
        resumed,
        shards.count == 1,
        shards.report.rejected_lines or REJECTED_SCHEMA.empty_table(),
        without_orders.take(pc.array_sort_indices(without_orders)),
        past,
    )
    return forecasts, remarks


def _forecast_parts(
    forecast: Callable[[Orders, int], pa.Table],
    observed: Orders,
    instant: int,
    checkpoint: Checkpoint,
    prefix: str,
    most: int,
) -> Iterator[tuple[int, str, bool]]:
    """Forecast `most` customers at a time, in threads.

    Yields the first customer's position, the part's name, and whether an earlier run finished it.
    """

    def forecast_part(low: int) -> tuple[int, str, bool]:
        name = f"{prefix}-from-{low:09d}"
        is_old = checkpoint.has(name)
        if not is_old:
            customers = observed.slice_customers(low, low + most)
            checkpoint.write(name, forecast(customers, instant))
        return low, name, is_old

    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        yield from pool.map(forecast_part, range(0, observed.n_customers, most))


def _build_result(
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
        churn_rate=summary.totals["churn_probability"] / summary.rows if summary.rows else None,
        customers_without_orders=summary.customers_without_orders,
        lines_set_aside=summary.lines_set_aside,
        remarks=summary.remarks,
        was_done=was_done,
        parts_resumed=0,
        plausibility=summary.plausibility,
    )


def _find_attributes(model: TrainedModel, customers: str | None) -> str | None:
    """The file of customer attributes, for a model that needs any."""
    if model.customers is not None:
        return customers or model.customers.source
    if customers is not None:
        raise ConfigError("the model learned from no customer attributes; leave --customers out")
    return None
