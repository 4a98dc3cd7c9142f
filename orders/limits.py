"""What every reader of order lines agrees on: words for "no value", and how large money may be."""

from __future__ import annotations

__all__ = ["MAX_AMOUNT", "MAX_MINOR_UNITS", "MISSING_WORDS"]

# what exports write where there is no customer, no date, no number; compared in lower case
MISSING_WORDS = ("", "nan", "null", "none", "na", "n/a", "<na>", "nat", r"\n")
MAX_AMOUNT = 1e12  # of one line, in the currency
MAX_MINOR_UNITS = 2.0**62  # of all lines together: sums of int64 must not overflow
