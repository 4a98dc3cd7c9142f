"""How large money may be, for every reader of order lines."""

from __future__ import annotations

__all__ = ["MAX_AMOUNT", "MAX_MINOR_UNITS"]

MAX_AMOUNT = 1e12  # of one line, in the currency
MAX_MINOR_UNITS = 2.0**62  # of all lines together: sums of int64 must not overflow
