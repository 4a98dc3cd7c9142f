"""The rules of an order line, in the words that files, Python records and requests are told."""

from __future__ import annotations

from typing import NamedTuple

from ..limits import MAX_AMOUNT

__all__ = [
    "AMOUNT",
    "CALENDAR",
    "EXCHANGE_RATE",
    "FINITE",
    "FROM_1970",
    "INSTANT",
    "ISO",
    "NOT_EMPTY",
    "NOT_FUTURE",
    "NO_OFFSET",
    "NUMBER",
    "REQUIRED",
    "TEXT",
    "UNICODE",
    "Rule",
]

_AMOUNT = f"{MAX_AMOUNT:.0e}".replace("e+", "e")  # 1e12


class Rule(NamedTuple):
    """What a value must be, and what is said of a line that breaks it in the rejected lines."""

    requirement: str
    violation: str


NOT_EMPTY = Rule("must not be empty", "is empty")
INSTANT = Rule("must be a date", "is no date")
FROM_1970 = Rule("must be 1970 or later", "is before 1970")
NOT_FUTURE = Rule("must not be in the future", "is in the future")
NUMBER = Rule("must be a number", "is no number")
AMOUNT = Rule(f"must be an amount up to {_AMOUNT}", f"is beyond {_AMOUNT}")
EXCHANGE_RATE = Rule("must have an exchange rate on the day of the line", "has no rate")

# of values that stand alone, in a record or a request
REQUIRED = "is required"
ISO = "must be ISO 8601 such as 2011-06-10 or 2011-06-10T14:30:00"
CALENDAR = "must be a date of the calendar"
NO_OFFSET = "must carry no offset, for the model knows no time zone to convert it to"
FINITE = "must be finite"
TEXT = "must be text"
UNICODE = "must be text in valid Unicode"
