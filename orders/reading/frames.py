"""Frames: order lines that are in memory, of pandas, polars, Arrow or DuckDB, or a list of dicts.

Only the columns asked for are converted: what else a frame holds may be of any type.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from ...errors import OrdersError
from .python_values import build_column

__all__ = ["ArrowStream", "Frame", "is_frame", "open_frame"]


class ArrowStream(Protocol):
    """What polars, pyarrow and DuckDB give tables as."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule of a stream of record batches."""


@dataclass(frozen=True)
class Frame:
    """Order lines in memory: the names of their columns, and some of the columns as a table."""

    names: list[str]
    select: Callable[[Sequence[str]], pa.Table]


def is_frame(orders: object) -> bool:
    """Whether these are order lines in memory, of a kind that `open_frame` takes."""
    return (
        isinstance(orders, pd.DataFrame)
        or hasattr(orders, "__arrow_c_stream__")
        or _is_lazy(orders)
        or _is_records(orders)
    )


def open_frame(orders: Any, decimal: str | None = None) -> Frame:
    """The columns of order lines in memory; a lazy frame is collected, a stream read, by
    `select`.

    `decimal` is the mark in texts, for numbers that stand in one column with them.
    """
    if isinstance(orders, pd.DataFrame):
        return _open_pandas(orders, decimal)
    if _is_lazy(orders):
        names = list(orders.collect_schema().names())
        return Frame(names, lambda wanted: _read_stream(_collect(orders, wanted), wanted))
    if hasattr(orders, "__arrow_c_stream__"):
        stream = orders if isinstance(orders, pa.Table) else _open_stream(orders)
        return Frame(list(stream.schema.names), lambda wanted: _read_stream(stream, wanted))
    return _open_records(orders, decimal)


def _is_lazy(orders: object) -> bool:
    """A lazy frame of polars, which is not imported for it."""
    is_polars = type(orders).__module__.partition(".")[0] == "polars"
    return is_polars and hasattr(orders, "collect")


def _is_records(orders: object) -> bool:
    if not isinstance(orders, Sequence) or isinstance(orders, str | bytes):
        return False
    return all(isinstance(line, Mapping) for line in orders)


def _collect(orders: Any, names: Sequence[str]) -> Any:
    try:
        return orders.select(list(names)).collect()
    except sys.modules["polars"].exceptions.PolarsError as error:
        raise OrdersError(f"the lazy frame cannot be collected: {error}") from None


def _open_stream(orders: Any) -> pa.RecordBatchReader:
    try:
        return pa.RecordBatchReader.from_stream(orders)
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(orders).__name__
        raise OrdersError(f"the {kind} cannot be read as a table: {error}") from None


def _read_stream(stream: Any, names: Sequence[str]) -> pa.Table:
    """Some columns of a table or stream; of two with one name, the first."""
    if not isinstance(stream, pa.Table | pa.RecordBatchReader):
        stream = _open_stream(stream)
    positions = [stream.schema.names.index(name) for name in names]
    if isinstance(stream, pa.Table):
        table = stream.select(positions)
    else:
        schema = pa.schema([stream.schema.field(position) for position in positions])
        try:
            batches = [batch.select(positions) for batch in stream]
        except (pa.ArrowException, OSError) as error:
            raise OrdersError(f"the stream of order lines ended with an error: {error}") from None
        table = pa.Table.from_batches(batches, schema=schema)
    return pa.table([_convert_views(column) for column in table.columns], names=list(names))


def _convert_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column, text views as text: not all that follows reads them."""
    kind = column.type
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if not (pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type)):
        return column
    chunks = [
        pa.DictionaryArray.from_arrays(
            chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.large_string())
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.large_string()))


def _open_pandas(frame: pd.DataFrame, decimal: str | None) -> Frame:
    names = [str(name) for name in frame.columns]

    def select(wanted: Sequence[str]) -> pa.Table:
        columns = [_convert(frame.iloc[:, names.index(name)], decimal) for name in wanted]
        return pa.table(columns, names=list(wanted))

    return Frame(names, select)


def _convert(series: pd.Series[Any], decimal: str | None) -> pa.Array | pa.ChunkedArray:
    """A column of pandas; one that mixes types is text."""
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    elif isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(series.array.to_dense())
    if series.dtype == object and series.map(_has_zone).nunique() > 1:  # Arrow would drop the zones
        return build_column(series.where(series.notna(), None).tolist(), decimal)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        values = series.astype(object)
        return build_column(values.where(values.notna(), None).tolist(), decimal)


def _has_zone(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _open_records(lines: Sequence[Mapping[Any, Any]], decimal: str | None) -> Frame:
    if not lines:
        raise OrdersError("the list of order lines is empty; give at least one line")
    keys = {str(key): key for line in lines for key in line}
    names = list(keys)

    def select(wanted: Sequence[str]) -> pa.Table:
        columns = [
            build_column([_fill(line.get(keys[name])) for line in lines], decimal)
            for name in wanted
        ]
        return pa.table(columns, names=list(wanted))

    return Frame(names, select)


def _fill(value: Any) -> Any:
    """A value, None where it says that there is none."""
    is_missing = value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
    return None if is_missing else value
