"""Parquet files: columns as they are typed, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from ...errors import OrdersError
from .file_contents import Content, read_unpacked
from .raw_table import RawTable

__all__ = ["measure_columns", "open_parquet", "read_parquet_blocks"]

_BLOCK_LINES = 1 << 19


def open_parquet(path: Path, content: Content | None = None) -> pa.parquet.ParquetFile:
    """A parquet file, unpacked into memory where it stands in a zip file."""
    source = read_unpacked(path, content) if content and content.packed else path
    try:
        # buffered beforehand, all that was read would stay in memory until the last block
        return pa.parquet.ParquetFile(source, pre_buffer=False)
    except OSError as error:
        raise OrdersError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except pa.ArrowInvalid:
        raise OrdersError(f"{path.name} is damaged, or no parquet file") from None


def read_parquet_blocks(path: Path, content: Content, names: Sequence[str]) -> Iterator[RawTable]:
    """The columns `names`, block by block; at least one block, if only an empty one."""
    file = open_parquet(path, content)
    n_lines = file.metadata.num_rows
    before = 0
    try:
        for batch in file.iter_batches(_BLOCK_LINES, columns=list(names), use_threads=False):
            table = pa.Table.from_batches([batch])
            rows = np.arange(before + 1, before + batch.num_rows + 1)
            before += batch.num_rows
            yield RawTable(table, rows, share=before / n_lines)
        if not before:
            yield RawTable(file.read(columns=list(names)), np.arange(0))
    except (OSError, pa.ArrowInvalid):
        raise OrdersError(f"{path.name} is damaged: its pages cannot be read") from None


def measure_columns(path: Path, names: Collection[str]) -> tuple[int, int]:
    """Lines of a parquet file, and bytes of the columns `names` before compression."""
    metadata = open_parquet(path).metadata
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    columns = [group.column(k) for group in groups for k in range(group.num_columns)]
    sizes = [c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] in names]
    return metadata.num_rows, sum(sizes)
