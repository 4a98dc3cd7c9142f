"""Words for "no value": no customer, no date, no number."""

from __future__ import annotations

__all__ = ["MISSING_IDS", "MISSING_WORDS"]

# what no shop calls an order or a product; Google Analytics writes it for nothing
MISSING_IDS = ("", "(not set)")
# what exports write where there is no customer, no date, no number; compared in lower case
MISSING_WORDS = (*MISSING_IDS, "nan", "null", "none", "na", "n/a", "<na>", "nat", r"\n")
