"""The kernel: one sweep over customers' lines emits their features at every cutoff.

Lines are gathered into the orders and returns of some customers, few enough to stay in a core's
cache; then each group of the catalogue writes its columns of their rows. The compiled parts are
`build_histories` (histories.py), `compute_order_features` and `compute_line_features`.
"""

from __future__ import annotations

import numpy as np

from ...orders.columns import Float32, Float64, Int32, Int64
from ...orders.orders import Orders
from .histories import HistoryTables, build_histories
from .line_features import LINE_GROUPS, LineColumns, compute_line_features
from .order_features import ORDER_GROUPS, compute_order_features

__all__ = ["GROUP_ORDER", "N_WHOLE", "Sweep"]

N_WHOLE = 5  # n_orders, whole days since the last order and of tenure, cutoff, customer
GROUP_ORDER = (*ORDER_GROUPS, *LINE_GROUPS)
_CHUNK_ROWS, _CHUNK_LINES = (
    1_024,
    8_192,
)  # what is gathered at a time; their tables stay in a core's cache
_VARIETY = ("product_id", "category", "channel")  # columns whose different labels are counted
_NO_CODES = np.empty(0, dtype=np.int32)
_NO_NUMBERS = np.empty(0, dtype=np.float64)


class Sweep:
    """Orders, cutoffs and the groups asked for, ready to be swept, block of customers by block."""

    def __init__(self, orders: Orders, cutoffs: Int64, slots: Int64, columns: Int64) -> None:
        """`slots[j]` are the columns of `reach` for cutoff j and the start of each trailing window;

        `columns` is each group's first column, in GROUP_ORDER, -1 where it is off.
        """
        self._orders, self._cutoffs, self._slots = orders, cutoffs, slots
        self._of_orders = columns[: len(ORDER_GROUPS)]
        self._of_lines = columns[len(ORDER_GROUPS) :].tolist()
        texts, numbers = orders.texts, orders.numbers
        self._order_codes = texts["order_id"].codes if "order_id" in texts else _NO_CODES
        self._codes = [texts[name].codes if name in texts else _NO_CODES for name in _VARIETY]
        labels = [texts[name].values for name in _VARIETY if name in texts]
        self._most_labels = max(map(len, labels), default=0)
        names = ("quantity", "discount", "cost")
        self._numbers: list[Float64] = [numbers.get(name, _NO_NUMBERS) for name in names]

    def rows(self, starts: Int64, reach: Int64, out: Float32, whole: Int32) -> int:
        """Write a row per customer and cutoff with an order before it, customer by customer.

        `starts` (n_customers + 1) delimits the lines of each customer; `reach` (n_customers x
        n_instants) holds line positions. Fills `out` (n_rows x n_features) and `whole` (n_rows x 5:
        n_orders, whole days since the last order, whole days of tenure, cutoff, customer); returns
        how many rows.
        """
        orders, cutoffs = self._orders, self._cutoffs
        tables = self._tables(starts)
        counts = np.zeros(self._most_labels, dtype=np.int64)
        columns = LineColumns(orders.amounts, orders.unit, self._codes, self._numbers, counts)
        customer = low = done = 0
        while customer < len(starts) - 1:
            n, n_rows, customer, low = build_histories(
                starts, orders.times, orders.amounts, self._order_codes, reach, self._slots,
                customer, low, *tables, whole[done:],
            )  # fmt: skip
            stretches, ends = tables.stretches[:n], tables.ends[:n_rows]
            to = out[done : done + n_rows]
            compute_order_features(
                stretches, tables.totals, tables.orders, tables.returns, ends, cutoffs,
                orders.unit, self._of_orders, to, whole[done:],
            )  # fmt: skip
            compute_line_features(stretches, tables.totals, ends, columns, self._of_lines, to)
            done += n_rows
        return done

    def _tables(self, starts: Int64) -> HistoryTables:
        longest = int(np.diff(starts).max(initial=0))
        n_customers, n_cutoffs = len(starts) - 1, len(self._cutoffs)
        lines = min(_CHUNK_LINES, int(starts[-1] - starts[0]))
        rows = max(n_cutoffs, min(_CHUNK_ROWS, n_customers * n_cutoffs))
        return HistoryTables.for_lines(longest, lines, rows, self._slots.shape[1])
