"""Whether money of an unknown file is the total of an order, and which amounts add up to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .column_profiles import SHARE, ColumnProfile
from .repeated_totals import EQUAL_SHARE, measure_repeats

__all__ = ["PAID_NAME", "Parts", "find_parts", "find_totals", "is_of_order"]

_LEAST_ORDERS = 20  # of several lines, for what holds within them to say something
_FIRST_SHARE = 0.5  # of these orders have it on some lines alone
_LEAST_PARTS = 3  # orders of several lines with a refund or discount
PAID_NAME = (  # of an order, and above all else that is called a total
    "grand|order.?total|gesamt(betrag|summe)|(rechnungs|bestell|auftrags)(betrag|summe|wert)|"
    "endbetrag|total.?(ttc|commande|pedido|ordine)|实付|实际支付|請求"
)
_TOTAL_NAME = f"{PAID_NAME}|order.?(value|amount)|合計|总金额"


@dataclass(frozen=True)
class Parts:
    """Amounts of lines that add up to the total of their order."""

    column: ColumnProfile
    of_unit: bool  # times the quantity
    takes_back: bool  # some lines are returns, which the total leaves out


def find_totals(
    money: Sequence[ColumnProfile], order: ColumnProfile, quantity: ColumnProfile | None
) -> list[ColumnProfile]:
    """Totals of orders: by their name, by how they grow, or because other money adds up to them."""
    of_order = [c for c in money if is_of_order(c, order, _LEAST_ORDERS)]
    of_lines = [c for c in money if c not in of_order]
    return [
        c
        for c in of_order
        if _is_called_or_grows(c, order) or find_parts(of_lines, c, order, quantity) is not None
    ]


def find_parts(
    lines: Sequence[ColumnProfile],
    total: ColumnProfile,
    order: ColumnProfile,
    quantity: ColumnProfile | None,
) -> Parts | None:
    """A column of lines, as it is or times the quantity, whose sum is the order's total.

    Of orders of several lines; those without money on either side tell nothing.
    """
    ids = pd.Series(order.cells).where(order.filled)  # a blank is no order
    groups = ids.groupby(ids)
    several = groups.size()[groups.size() > 1].index
    totals = pd.Series(total.numbers).groupby(ids).max().reindex(several).fillna(0.0).to_numpy()
    for column in lines:
        for of_unit in (False, True) if quantity is not None else (False,):
            values = column.numbers * quantity.numbers if of_unit and quantity else column.numbers
            sums, bought = (
                pd.Series(part).groupby(ids).sum().reindex(several).to_numpy()
                for part in (values, np.where(values > 0, values, 0.0))
            )
            tells = (totals != 0) | (sums != 0)
            is_sum, is_bought = (
                np.isclose(side, totals, atol=0.011)[tells] for side in (sums, bought)
            )
            if tells.sum() >= _LEAST_ORDERS and (is_sum | is_bought).mean() >= SHARE:
                return Parts(column, of_unit, (is_bought & ~is_sum).sum() >= _LEAST_PARTS)
    return None


def is_of_order(column: ColumnProfile, order: ColumnProfile, least: int = _LEAST_PARTS) -> bool:
    """Whether orders of several lines have one value, on all lines or one; 0 tells nothing."""
    lines = pd.DataFrame({"order": order.cells, "value": column.cells, "number": column.numbers})
    lines["is_filled"] = lines["number"].fillna(0) != 0
    groups = lines[order.filled].groupby("order", sort=False)
    several = (groups.size() > 1) & groups["is_filled"].any()
    if several.sum() < least:
        return False
    filled = lines[order.filled & (lines["value"] != "").to_numpy()]
    distinct = filled.groupby("order", sort=False)["value"].nunique()
    one_value = distinct.reindex(several.index, fill_value=0)[several] == 1
    return bool(one_value.mean() >= EQUAL_SHARE)


def _is_called_or_grows(column: ColumnProfile, order: ColumnProfile) -> bool:
    """Whether one value of each order is its total, on all its lines or its first line alone.

    One value on all lines is a total where it grows with their number, or is called a total.
    """
    lines = pd.DataFrame({"order": order.codes, "filled": column.filled})[order.filled]
    groups = lines.groupby("order")["filled"]
    on_first = (groups.sum() < groups.size())[groups.size() > 1]
    if on_first.mean() > _FIRST_SHARE or re.search(_TOTAL_NAME, column.name.casefold()):
        return True
    usable = order.filled & (np.nan_to_num(column.numbers) > 0)
    return measure_repeats(column.numbers[usable], order.codes[usable]).is_total
