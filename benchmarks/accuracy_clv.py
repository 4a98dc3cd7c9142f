"""CLV over several realised periods: which methods are compared, the table, and the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from accuracy_data import Cell
from accuracy_targets import Verdict

__all__ = ["CLV_METHODS", "ClvCell", "clv_table", "clv_verdicts"]

OURS = "clvcast"
CLV_METHODS = (OURS, "plain_lightgbm", "bg_nbd", "pareto_nbd", "last_two_spans", "span_rate")
_YEAR_OF_RETAIL = ("online_retail_2:2010-12-09", 4)  # the year after the first of the two
_LEAST_MONEY = 0.05  # a recency group with a smaller share of the money is not judged


@dataclass(frozen=True)
class ClvCell:
    """One method's CLV of one cell, measured."""

    cell: Cell
    method: str
    measures: Mapping[str, float]

    @property
    def name(self) -> str:
        """The cell and its span: cdnow:1997-12-31, 6 x 30."""
        return f"{self.cell.name}, {self.cell.periods} x {self.cell.horizon_days}"


def clv_verdicts(found: Sequence[ClvCell]) -> list[Verdict]:
    """Each target of the CLV cells: what it asks, and whether it is met."""
    ours = {one.name: one.measures for one in found if one.method == OURS}
    gaps = {}
    for name, values in ours.items():
        theirs = [o.measures["nGini"] for o in found if o.name == name and o.method != OURS]
        gaps[name] = values["nGini"] - max(theirs)
    mean, worst = float(np.mean(list(gaps.values()))), min(gaps, key=lambda name: gaps[name])
    verdicts = [
        Verdict(
            "CLV: nGini",
            f"{mean:+.4f}",
            ">= +0.004, no cell below -0.005",
            mean >= 0.004 and gaps[worst] >= -0.005,
            ">= +0.010",
            mean >= 0.010,
            f"{gaps[worst]:+.4f} {worst}",
        )
    ]
    groups = {
        f"{name}, fifth {k}": abs(values[f"recency_{k}"])
        for name, values in ours.items()
        for k in range(1, 6)
        if values[f"money_{k}"] >= _LEAST_MONEY
    }
    most = max(groups, key=lambda name: groups[name])
    verdicts.append(
        Verdict(
            "CLV: bias by recency group",
            f"{np.mean(list(groups.values())):.1%}",
            "each 25 %",
            groups[most] <= 0.25,
            "each 12 %",
            groups[most] <= 0.12,
            f"{groups[most]:.1%} {most}",
        )
    )
    for one in found:
        if one.method == OURS and (one.cell.name, one.cell.periods) == _YEAR_OF_RETAIL:
            bias = one.measures["bias"]
            verdicts.append(
                Verdict(
                    "CLV: bias of a year of online retail",
                    f"{bias:+.1%}",
                    "within 30 %",
                    abs(bias) <= 0.30,
                    "within 15 %",
                    abs(bias) <= 0.15,
                    one.name,
                )
            )
    return verdicts


def clv_table(found: Sequence[ClvCell]) -> list[str]:
    """The measures as a Markdown table, and the mean of the errors over the cells."""
    head = [
        *("cell", "method", "nGini", "Spearman", "MAE", "deviance", "bias", "decile MAPE"),
        *("bias by recency", "covered", "ratio", "realised", "rank correlation", "by spend"),
    ]
    rows = []
    for one in found:
        m = one.measures
        recency = " ".join(f"{m[f'recency_{k}']:+.0%}" for k in range(1, 6))
        covered = f"{m['coverage']:.1%}" if "coverage" in m else ""
        numbers = [f"{m['nGini']:.4f}", f"{m['spearman']:.4f}", f"{m['MAE']:,.4g}"]
        numbers += [f"{m['deviance']:,.4g}", f"{m['bias']:+.1%}", f"{m['decile_MAPE']:.3f}"]
        ratios = [f"{m['ratio']:.2f}", f"{m['actual_ratio']:.2f}"]
        ranks = [f"{m['rank_correlation']:.4f}", f"{m['nGini_of_spend']:.4f}"]
        rows.append([one.name, f"`{one.method}`", *numbers, recency, covered, *ratios, *ranks])
    for method in dict.fromkeys(one.method for one in found):
        each = [one.measures for one in found if one.method == method]
        bias, decile = (
            float(np.mean([abs(m[name]) for m in each])) for name in ("bias", "decile_MAPE")
        )
        numbers = ["", "", "", "", f"{bias:.1%}", f"{decile:.3f}", *[""] * 6]
        rows.append([f"mean of {len(each)}, absolute", f"`{method}`", *numbers])
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
