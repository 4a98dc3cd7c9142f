"""Golden tables: what the numbers of a bundle give at inputs that golden customers do not reach.

Thirteen customers pass few of the twelve segment cuts and few knots of the intervals. So a bundle
also keeps, per table, inputs around every number and what the table gave there. A new kind of
number gets an entry in both functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..errors import BundleError
from .intervals import predict_interval
from .parameters import Parameters
from .segments import assign_risk_bands, assign_tiers, name_rfm_segments, score_rfm

__all__ = ["Cell", "build_table_inputs", "compute_tables"]

Cell: TypeAlias = float | int | str | None
_MOST_INPUTS = 10_000
_BEYOND = 1.0  # in logs: how far outside the knots intervals are read


def build_table_inputs(numbers: Parameters) -> dict[str, list[float]]:
    """Inputs of the tables: name -> values at and beside each number."""
    thresholds, intervals = numbers.segments, numbers.intervals
    inputs = {}
    for name, tables in (
        ("spend", (intervals.spend, intervals.spend_sure)),
        ("clv", (intervals.clv, intervals.clv_sure)),
    ):
        knots = sorted({knot for table in tables for knot in table.log_knots})
        between = [(low + high) / 2.0 for low, high in pairwise(knots)]
        inputs[name] = sorted([knots[0] - _BEYOND, *knots, *between, knots[-1] + _BEYOND])
    if thresholds is not None:
        inputs["recency"] = _surround(thresholds.recency_cuts)
        inputs["frequency"] = _surround(thresholds.frequency_cuts)
        inputs["money"] = _surround(thresholds.money_cuts)
        inputs["tier"] = _surround(thresholds.tier_edges)
        inputs["risk"] = _surround((thresholds.risk.low_below, thresholds.risk.high_above))
    return inputs


def compute_tables(
    numbers: Parameters, inputs: Mapping[str, Sequence[float]]
) -> dict[str, list[Cell]]:
    """What the tables give at inputs; raises `BundleError` for inputs of other tables."""
    expected = build_table_inputs(numbers)
    if inputs.keys() != expected.keys() or sum(map(len, inputs.values())) > _MOST_INPUTS:
        raise BundleError("the bundle's golden tables are not the ones this version knows")
    at = {name: np.array(values, dtype=np.float64) for name, values in inputs.items()}
    cells_by_table: dict[str, list[Cell]] = {}
    intervals = numbers.intervals
    for name, unsure, sure in (
        ("spend", intervals.spend, intervals.spend_sure),
        ("clv", intervals.clv, intervals.clv_sure),
    ):
        one = np.ones(len(at[name]))
        for kind, churn in (("sure", 0.0), ("unsure", 1.0)):
            band = predict_interval(one, np.exp(at[name]), churn * one, unsure, sure)
            cells_by_table[f"{name} {kind} lower"] = band.lower.tolist()
            cells_by_table[f"{name} {kind} upper"] = band.upper.tolist()
            cells_by_table[f"{name} {kind} deviation"] = band.deviation.tolist()
    thresholds = numbers.segments
    if thresholds is not None:
        cuts = thresholds.recency_cuts
        cells_by_table["recency"] = score_rfm(at["recency"], cuts, fewer_is_better=True).tolist()
        cells_by_table["frequency"] = score_rfm(at["frequency"], thresholds.frequency_cuts).tolist()
        cells_by_table["money"] = score_rfm(at["money"], thresholds.money_cuts).tolist()
        cells_by_table["tier"] = assign_tiers(at["tier"], thresholds.tier_edges).tolist()
        cells_by_table["risk"] = assign_risk_bands(at["risk"], thresholds.risk).tolist()
        r, fm = (part.ravel() for part in np.meshgrid(range(1, 6), range(1, 6), indexing="ij"))
        grid = thresholds.build_grid()
        cells_by_table["segments"] = name_rfm_segments(r, fm, fm, grid).tolist()
    return cells_by_table


def _surround(values: Sequence[float]) -> list[float]:
    """Each value with the numbers next to it, and a step away."""
    around: set[float] = set()
    for value in values:
        step = max(abs(value) * 0.01, 0.01)
        around |= {value, value - step, value + step}
        around |= {math.nextafter(value, -math.inf), math.nextafter(value, math.inf)}
    return sorted(around)
