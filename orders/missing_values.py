"""Words for "no value": no customer, no date, no number."""

from __future__ import annotations

__all__ = ["MISSING_WORDS"]

# what exports write where there is no customer, no date, no number; compared in lower case
MISSING_WORDS = ("", "nan", "null", "none", "na", "n/a", "<na>", "nat", r"\n")
