"""Batch: order files in, a forecast file out, whole or not at all, with what was set aside beside it.

Customers are forecast in parts, and a journal keeps the finished ones: a run that was killed goes on
where it was, and ends with the bytes it would have ended with. A manifest tells what was made from what;
where it says that this very batch is done, nothing is done again.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ..errors import ConfigError, OrdersError, StoreError
from ..features import windows
from ..features.faults import REJECTED_SCHEMA, counted, rejected_table
from ..features.given import clean_id
from ..features.orders import Orders, TextColumn
from ..features.reading import read
from ..features.sources import find_files
from .journal import Journal, journal
from .manifest import (
    Manifest,
    batch_key,
    digest_of_files,
    is_done,
    manifest_path,
    sha256_of_file,
)
from .model import Model
from .outputs import check_writable, replaced_file, replaced_folder
from .scorer import FORECAST_SCHEMA, forecast_rows

__all__ = ["BatchResult", "score_files"]

_PART = 50_000  # customers
_TOTALS = ("churn_probability", "expected_orders", "expected_spend", "clv")
_REJECTED = "rejected.parquet"


@dataclass(frozen=True)
class BatchResult:
    """What a batch did, for people and for schedulers."""

    output: Path
    rejected: Path
    manifest: Path
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


@dataclass(frozen=True)
class _Part:
    """Some customers, under the name of their part."""

    name: str
    orders: Orders


def score_files(
    model: Model,
    source: str,
    output: Path,
    cutoff: windows.Instant | None = None,
    *,
    only_customers: Path | None = None,
    partitions: int = 0,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BatchResult:
    """Score the orders of `source` into `output` (.parquet or .csv), and write rejected.parquet beside it.

    With `partitions`, `output` is a folder of that many parquet files; a customer's is told by a hash of
    its id. `only_customers` names a file of customer ids, one a line or in a column customer_id. A batch
    that is done already is left as it is unless `force`. `progress` hears of customers done and in all.
    On any error earlier outputs stay as they were.
    """
    rejected = output / _REJECTED if partitions else output.with_name(_REJECTED)
    manifest = manifest_path(output, is_folder=bool(partitions))
    _check_output(source, output, rejected, manifest, partitions)
    wanted = None if only_customers is None else _read_ids(only_customers)
    stated = None if cutoff is None else windows.as_instant(cutoff)
    settings = [
        stated,
        None if wanted is None else sorted(wanted),
        partitions,
        output.suffix.lower(),
    ]
    input_sha256 = digest_of_files(find_files(source))
    key, config_sha256 = batch_key(model, input_sha256, settings)
    done = None if force else is_done(manifest, key)
    if done is not None:
        return _result(done, output, rejected, manifest, was_done=True)
    orders = read(model.orders.model_copy(update={"source": source}), own_names_too=True)
    remarks = list(orders.report.remarks)
    if wanted is not None:
        orders, told = _only(orders, wanted)
        remarks += told
    instant = windows.default_cutoff(orders) if stated is None else stated
    concern = windows.check_cutoff(orders, instant, model.numbers.horizon_days)
    remarks += [concern] if concern else []
    with journal(output, key) as finished:
        if force:
            finished.clear()
        parts, resumed = [], 0
        known = windows.observed(model.usable_columns(orders), instant)
        n_done = 0
        for part in _parts(known, partitions):
            if finished.has(part.name):
                resumed += 1
            else:
                finished.write(part.name, forecast_rows(model, part.orders, instant))
            parts.append(part.name)
            n_done += part.orders.n_customers
            progress(n_done, known.n_customers)
        summary = Manifest(
            key=key,
            model_version=model.version,
            cutoff=windows.iso(instant),
            input_sha256=input_sha256,
            config_sha256=config_sha256,
            rows=0,
            totals={},
            customers_without_orders=0,
            lines_set_aside=0,
            remarks=tuple(remarks),
            files={},
        )
        write = _write_folder if partitions else _write_file
        summary = write(finished, parts, orders, output, summary)
        finished.close()
    return replace(
        _result(summary, output, rejected, manifest, was_done=False), parts_resumed=resumed
    )


def _parts(known: Orders, partitions: int) -> Iterator[_Part]:
    """The customers in parts: in runs of their order, or by a hash of their ids."""
    if not partitions:
        for low in range(0, known.n_customers, _PART):
            yield _Part(f"part-{low // _PART:05d}", _run_of(known, low, low + _PART))
        return
    buckets = np.array(
        [zlib.crc32(own.encode()) % partitions for own in known.customer_ids.to_pylist()]
    )
    for bucket in range(partitions):
        yield _Part(f"part-{bucket:05d}", known.keep_customers(buckets == bucket))


def _run_of(orders: Orders, low: int, high: int) -> Orders:
    """Customers `low:high`, without a copy."""
    starts = orders.starts[low : high + 1]
    lines = slice(int(starts[0]), int(starts[-1]))
    return replace(
        orders,
        customer_ids=orders.customer_ids[low:high],
        starts=starts - starts[0],
        times=orders.times[lines],
        amounts=orders.amounts[lines],
        texts={n: TextColumn(c.codes[lines], c.labels) for n, c in orders.texts.items()},
        numbers={name: values[lines] for name, values in orders.numbers.items()},
    )


class _Sums:
    """What is told of all parts together; sums are exact until the end, so that parts do not matter."""

    def __init__(self) -> None:
        self.rows = 0
        self.partials: dict[str, list[float]] = {name: [] for name in _TOTALS}
        self.ids: list[pa.Array] = []

    def passing(self, part: pa.Table) -> pa.Table:
        """Note a part on its way to the output."""
        self.rows += part.num_rows
        for name, values in self.partials.items():
            values += part[name].to_numpy().tolist()
        self.ids += part["customer_id"].chunks
        return part

    def totals(self) -> dict[str, float]:
        """The sums."""
        return {name: math.fsum(values) for name, values in self.partials.items()}


def _write_file(
    finished: Journal, parts: list[str], orders: Orders, output: Path, summary: Manifest
) -> Manifest:
    """Write the output, the rejected lines and, last, the manifest: all of them, or none."""
    rejected, manifest = output.with_name(_REJECTED), manifest_path(output, is_folder=False)
    sums = _Sums()
    with ExitStack() as stack:
        # the first to be entered is the last to be moved into place
        partials = {
            path: stack.enter_context(replaced_file(path)) for path in (manifest, rejected, output)
        }
        with _writer(partials[output], output.suffix.lower()) as write:
            for part in parts:
                write(sums.passing(finished.read(part)))
        summary = _summed(summary, sums, orders, partials[rejected])
        hashes = {p.name: sha256_of_file(partials[p]) for p in (output, rejected)}
        summary = summary.model_copy(update={"files": hashes})
        partials[manifest].write_text(summary.text(), encoding="utf-8")
    return summary


def _write_folder(
    finished: Journal, parts: list[str], orders: Orders, output: Path, summary: Manifest
) -> Manifest:
    """The same as a folder, one parquet file a part."""
    sums = _Sums()
    with replaced_folder(output) as folder:
        for part in parts:
            pq.write_table(sums.passing(finished.read(part)), folder / f"{part}.parquet")
        summary = _summed(summary, sums, orders, folder / _REJECTED)
        hashes = {path.name: sha256_of_file(path) for path in sorted(folder.iterdir())}
        summary = summary.model_copy(update={"files": hashes})
        manifest_path(folder, is_folder=True).write_text(summary.text(), encoding="utf-8")
    return summary


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Callable[[pa.Table], None]]:
    """Writes tables one after the other into one file."""
    if suffix == ".csv":
        with pa.csv.CSVWriter(path, FORECAST_SCHEMA) as csv:
            yield csv.write_table
    else:
        with pq.ParquetWriter(path, FORECAST_SCHEMA) as parquet:
            yield parquet.write_table


def _summed(summary: Manifest, sums: _Sums, orders: Orders, rejected: Path) -> Manifest:
    """The summary of all parts; writes what was set aside: lines, then customers without an order."""
    scored = pa.chunked_array(sums.ids, pa.string()).combine_chunks()
    without = orders.customer_ids.filter(pc.invert(pc.is_in(orders.customer_ids, scored)))
    set_aside = orders.report.rejected_lines or REJECTED_SCHEMA.empty_table()
    at = windows.shown(windows.as_instant(summary.cutoff))
    no_orders = rejected_table(
        "", None, f"the customer has no order before {at}", customer_ids=without
    )
    pq.write_table(pa.concat_tables([set_aside, no_orders]), rejected)
    found = {
        "rows": sums.rows,
        "totals": sums.totals(),
        "customers_without_orders": len(without),
        "lines_set_aside": set_aside.num_rows,
    }
    return summary.model_copy(update=found)


def _result(
    summary: Manifest, output: Path, rejected: Path, manifest: Path, *, was_done: bool
) -> BatchResult:
    return BatchResult(
        output=output,
        rejected=rejected,
        manifest=manifest,
        model_version=summary.model_version,
        cutoff=windows.shown(windows.as_instant(summary.cutoff)),
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


def _only(orders: Orders, wanted: set[str]) -> tuple[Orders, list[str]]:
    """The orders of the wanted customers, and a remark where some have none."""
    keep: npt.NDArray[np.bool_] = pc.is_in(
        orders.customer_ids, pa.array(sorted(wanted), pa.string())
    )
    kept = np.asarray(keep.to_numpy(zero_copy_only=False), dtype=np.bool_)  # type: ignore[attr-defined]
    missing = len(wanted) - int(kept.sum())
    if missing == len(wanted):
        raise OrdersError("none of the customers named in --only-customers has an order line")
    told = f"{counted(missing, 'customer')} named in --only-customers have no order line"
    return orders.keep_customers(kept), [told] if missing else []


def _read_ids(path: Path) -> set[str]:
    """Customer ids from a column customer_id of a .parquet file, or one a line of text."""
    try:
        if path.suffix.lower() == ".parquet":
            column = pq.read_table(path, columns=["customer_id"])["customer_id"]
            cells = column.cast(pa.string()).drop_null().to_pylist()
        else:
            cells = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError):
        raise OrdersError(
            f"the customers of {path} cannot be read: one id a line, or a .parquet file with a "
            "column customer_id"
        ) from None
    ids = {clean_id(cell) for cell in cells} - {"", "customer_id"}
    if not ids:
        raise OrdersError(f"{path} must name a customer a line, got none")
    return ids


def _check_output(
    source: str, output: Path, rejected: Path, manifest: Path, partitions: int
) -> None:
    """Refuse outputs that cannot be written, or would replace the orders or each other."""
    if partitions:
        if output.suffix:
            raise ConfigError(
                f"a partitioned output is a folder, got {output}; leave {output.suffix} out"
            )
        if output.exists() and not manifest.is_file():
            raise StoreError(f"{output} exists and is no forecast of ours; name a new folder")
    else:
        check_writable(output)
    if output.name == _REJECTED:
        raise ConfigError(f"the output must not be {_REJECTED}, where rejected lines go")
    inputs = {path.resolve() for path in find_files(source)}
    for path in (output, rejected):
        if path.resolve() in inputs:
            raise ConfigError(f"the output would replace the orders {path}; name another file")
    if any(path.is_relative_to(output.resolve()) for path in inputs):
        raise ConfigError(f"the orders lie in the output {output}; name another folder")
