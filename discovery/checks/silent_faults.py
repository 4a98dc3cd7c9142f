"""Silent faults: what leaves every line readable and makes totals, orders or customers wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .amount_checks import (
    detect_currencies,
    detect_footers,
    detect_layout_amounts,
    detect_totals_on_lines,
)
from .customer_checks import detect_customer_per_order, detect_shared_ids, detect_similar_ids
from .finding import Finding
from .line_checks import detect_joined_lines, detect_order_amounts, detect_returns
from .order_checks import detect_no_sales, detect_order_ids, detect_overlapping_files
from .source_profile import SourceProfile

__all__ = ["DETECTORS", "MONEY_DETECTORS", "find_silent_faults"]

Detector = Callable[[SourceProfile], Finding]

# those that change the sums of money, which train repeats
MONEY_DETECTORS: tuple[Detector, ...] = (
    detect_totals_on_lines,
    detect_currencies,
    detect_footers,
    detect_no_sales,
    detect_overlapping_files,
    detect_shared_ids,
    detect_returns,
    detect_joined_lines,
    detect_order_amounts,
    detect_layout_amounts,
)
DETECTORS: tuple[Detector, ...] = (
    *MONEY_DETECTORS,
    detect_order_ids,
    detect_similar_ids,
    detect_customer_per_order,
)


def find_silent_faults(
    profile: SourceProfile, detectors: Sequence[Detector] = DETECTORS
) -> list[Finding]:
    """What each detector finds, in fixed order."""
    return [detect(profile) for detect in detectors]
