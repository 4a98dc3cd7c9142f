"""Rejected lines: the table of lines that were set aside, each with its file, row and reason."""

from __future__ import annotations

import pyarrow as pa

from ..columns import Int64

__all__ = ["REJECTED_SCHEMA", "build_rejected_table"]

_MOST_ROWS = 1 << 20  # of a piece
REJECTED_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),  # the first row after the header is 1
        ("customer_id", pa.string()),
        ("reason", pa.string()),
        ("column", pa.string()),
        ("value", pa.string()),
    ]
)


def build_rejected_table(
    file: str,
    rows: Int64 | None,
    reason: str,
    column: str = "",
    customer_ids: pa.Array | None = None,
    values: pa.Array | None = None,
) -> pa.Table:
    """Rejected lines as rows of `REJECTED_SCHEMA`; without `rows`, whole customers."""
    n = len(rows) if rows is not None else len(customer_ids or ())

    def build(first: int, n: int) -> pa.Table:
        """The lines from `first` on: a column of Arrow holds 2 GB of text at most."""
        nothing = pa.nulls(n, pa.string())
        return pa.table(
            [
                pa.repeat(file, n),
                pa.nulls(n, pa.int64()) if rows is None else pa.array(rows[first : first + n]),
                nothing if customer_ids is None else customer_ids.slice(first, n).cast(pa.string()),
                pa.repeat(reason, n),
                pa.repeat(column, n),
                nothing if values is None else values.slice(first, n).cast(pa.string()),
            ],
            schema=REJECTED_SCHEMA,
        )

    starts = range(0, max(n, 1), _MOST_ROWS)
    return pa.concat_tables(build(first, min(_MOST_ROWS, n - first)) for first in starts)
