"""Files that claim millions of lines and hold nothing in them: refused soon, not set aside line by
line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ...errors import OrdersError
from .raw_table import RawTable

__all__ = ["refuse_empty_lines"]

_MOST_EMPTY = 2_000_000  # lines in a row, in every column that is read


def refuse_empty_lines(
    blocks: Iterable[RawTable], file: str, columns: Collection[str]
) -> Iterator[RawTable]:
    """The blocks as they are; `OrdersError` once too many in a row hold nothing in the columns."""
    n_empty = 0
    for raw in blocks:
        read = [raw.table[name] for name in raw.table.column_names if name in columns]
        n_empty = n_empty + len(raw.rows) if all(map(_is_empty, read)) else 0
        if n_empty > _MOST_EMPTY:
            raise OrdersError(
                f"{file}: {n_empty:,} lines in a row are empty in all of {', '.join(columns)}; the "
                "file is damaged, or the wrong one: export it again"
            )
        yield raw


def _is_empty(column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    if not pa.types.is_string(column.type) or column[0].as_py() not in (None, ""):
        return False
    return bool(pc.max(pc.binary_length(column)).as_py() == 0)
