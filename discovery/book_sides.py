"""Debit and credit, in one column of words or two of money: which takes money off is asked."""

from __future__ import annotations

import numpy as np

from ..configs.layouts import quote_name
from .column_profiles import ColumnProfile
from .proposal import Proposal, quote_flow
from .words import is_payment, normalize_word

__all__ = ["ask_of_book_sides"]

_SIDES = (  # debit, credit
    *(("s", "h"), ("soll", "haben"), ("d", "c"), ("dr", "cr"), ("db", "cr"), ("debit", "credit")),
    *(("debe", "haber"), ("debito", "credito"), ("dare", "avere"), ("debet", "credit")),
    *(("debet", "kredit"), ("wn", "ma")),
)
_SINGLE = {"sh", "dc", "drcr", "sollhaben", "debitcredit", "sens", "side", "indicator"}
_HINTS = ("kennzeichen", "indicator", "debit", "soll", "sign")


def ask_of_book_sides(
    proposal: Proposal, columns: dict[str, ColumnProfile], amount: ColumnProfile, taken: list[str]
) -> None:
    """Ask which side counts as negative; a shop's ledger and a bank's statement differ in it."""
    _ask_of_second_column(proposal, columns, amount, taken)
    if (np.nan_to_num(amount.numbers) < 0).any():
        return
    for column in columns.values():
        if column.name in taken or column.distinct != 2 or not _may_be_sides(column):
            continue
        values = list(dict.fromkeys(column.values))
        by_word = {normalize_word(value): value for value in values}
        for debit, credit in _SIDES:
            if by_word.keys() == {debit, credit}:
                proposal.ask(
                    "returns",
                    f"{column.name} is {values[0]} or {values[1]}, debit or credit, and no amount "
                    "is negative: which of them takes money off?",
                    *(
                        (f"{{{quote_flow(column.name)}: [{quote_flow(by_word[side])}]}}", why)
                        for side, why in (
                            (credit, "credits, as in a ledger of customers"),
                            (debit, "debits, as on a bank's statement"),
                        )
                    ),
                )
                return


def _ask_of_second_column(
    proposal: Proposal, columns: dict[str, ColumnProfile], amount: ColumnProfile, taken: list[str]
) -> None:
    """Ask of a column of money that is filled where the amount's is blank, and only there."""
    if amount.name not in columns or amount.filled.all():
        return
    for column in columns.values():
        if column.name not in taken and column.is_number and (column.filled ^ amount.filled).all():
            first, second = (f"({quote_name(name)} or 0)" for name in (amount.name, column.name))
            proposal.ask(
                "columns.amount",
                f"{column.name} is filled on the {int((~amount.filled).sum()):,} lines where "
                f"{amount.name} is blank: what is it?",
                (quote_flow(f"{first} - abs{second}"), "money taken off, as credits are"),
                (quote_flow(f"{first} + {second}"), "revenue as well"),
            )
            return


def _may_be_sides(column: ColumnProfile) -> bool:
    """Not of means of payment (a credit card); single letters need a name that says so."""
    if is_payment(column.name) or "card" in column.name.casefold():
        return False
    name = normalize_word(column.name)
    is_named = name in _SINGLE or any(hint in name for hint in _HINTS)
    return is_named or all(len(normalize_word(value)) > 1 for value in column.values)
