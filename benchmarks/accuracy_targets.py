"""What others reach, and what the default must reach against them.

`PUBLISHED` is the yardstick, and stands still: measured on 2026-11-21 with lifetimes 0.11.3 and
with LightGBM 4.7.0 (20 features, 8 cutoffs, plain Tweedie and binary, no tuning), the cells of
online_retail_2 on 2026-11-28 from its order lines, which leave 14 or 15 customers more: those whose
days all sum to zero or less. What was not measured then is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = [
    "MORE_PEERS",
    "PEERS",
    "PUBLISHED",
    "Verdict",
    "best_peer",
    "fill_missing",
    "judged",
    "loss",
]

PEERS = ("plain_lightgbm", "bg_nbd", "pareto_nbd")  # the best of them is the oracle
MORE_PEERS = ("ziln", "pymc_bg_nbd")  # compared with one by one
HIGHER_IS_BETTER = ("nGini", "spearman", "churn_AUC")
COMPARED = ("nGini", "spearman", "MAE", "RMSE", "deviance", "churn_log_loss")
LONG_HISTORY = (  # at least 15 months of orders before the cutoff
    "cdnow:1998-03-31",
    "online_retail_2:2011-03-09",
    "online_retail_2:2011-06-09",
    "online_retail_2:2011-09-09",
)
_NAMES = (
    "nGini",
    "spearman",
    "MAE",
    "RMSE",
    "bias",
    "decile_MAPE",
    "churn_AUC",
    "churn_log_loss",
    "churn_ECE",
)
_TABLE = """
cdnow:1997-09-30 plain_lightgbm 0.6655 0.3667 14.35 43.2 -0.223 0.269 0.7770 0.3822 0.013
cdnow:1997-09-30 bg_nbd 0.6395 0.3505 14.53 43.39 -0.188 0.252 0.7689 0.3867 0.019
cdnow:1997-09-30 pareto_nbd 0.6498 0.3630 14.27 43.48 -0.183 0.388 0.7739 0.3892 0.032
cdnow:1997-12-31 plain_lightgbm 0.7342 0.3873 14.49 34.76 0.172 0.327 0.8063 0.3472 0.019
cdnow:1997-12-31 bg_nbd 0.7010 0.3769 12.82 34.98 -0.085 0.204 0.7980 0.3534 0.026
cdnow:1997-12-31 pareto_nbd 0.7094 0.3882 12.78 35.24 -0.054 0.275 0.8025 0.3534 0.032
cdnow:1998-03-31 plain_lightgbm 0.7810 0.4040 11.03 31.85 0.101 0.200 0.8390 0.2993 0.015
cdnow:1998-03-31 bg_nbd 0.7685 0.3982 11.12 31.14 0.149 0.438 0.8332 0.3091 0.033
cdnow:1998-03-31 pareto_nbd 0.7745 0.4036 11.13 31.41 0.172 0.212 0.8373 0.3086 0.034
completejourney:2017-07-02 plain_lightgbm 0.8786 0.8363 179.5 265.8 0.118 0.200 0.8875 0.1740 0.024
completejourney:2017-07-02 bg_nbd 0.8637 0.8197 176.4 264.7 0.025 0.048 0.8774 0.2166 0.026
completejourney:2017-07-02 pareto_nbd 0.7583 0.7585 190.3 320.3 -0.023 0.115 0.8624 0.4173 0.038
completejourney:2017-10-02 plain_lightgbm 0.8693 0.8306 171.3 264.5 -0.026 0.045 0.8947 0.1603 0.011
completejourney:2017-10-02 bg_nbd 0.8452 0.8055 183.3 280.8 -0.028 0.101 0.8673 0.2231 0.020
completejourney:2017-10-02 pareto_nbd 0.7142 0.7264 202.4 349 -0.085 0.157 0.8490 0.4708 0.036
tafeng:2001-01-02 plain_lightgbm 0.5248 0.3493 932.3 1997 -0.101 0.094 0.7028 0.6192 0.054
tafeng:2001-01-02 bg_nbd 0.4491 0.3283 936.1 2124 -0.120 0.196 0.6894 0.6369 0.069
tafeng:2001-01-02 pareto_nbd 0.4435 0.3304 945.8 2136 -0.096 0.174 0.6913 0.6434 0.079
tafeng:2001-01-31 plain_lightgbm 0.5770 0.4029 890.9 2978 0.500 0.503 0.7424 0.5913 0.057
tafeng:2001-01-31 bg_nbd 0.5189 0.3743 782.2 2953 0.108 0.146 0.7264 0.6022 0.039
tafeng:2001-01-31 pareto_nbd 0.5199 0.3757 787.7 2958 0.125 0.161 0.7273 0.6031 0.043
uci_online_retail:2011-06-09 plain_lightgbm 0.8214 0.5320 434.8 1424 0.102 0.307 0.7539 0.6045 0.094
uci_online_retail:2011-06-09 bg_nbd 0.7705 0.4812 426.4 1517 -0.094 0.278 0.7382 0.6048 0.077
uci_online_retail:2011-06-09 pareto_nbd 0.7705 0.4812 426.4 1517 -0.094 0.278 0.7382 0.6048 0.077
uci_online_retail:2011-09-09 plain_lightgbm 0.7585 0.5129 568.4 2724 -0.305 0.453 0.7391 0.6025 0.077
uci_online_retail:2011-09-09 bg_nbd 0.7722 0.5127 565.8 2915 -0.407 0.389 0.7301 0.6195 0.084
uci_online_retail:2011-09-09 pareto_nbd 0.7720 0.5115 572.7 2956 -0.408 0.346 0.7293 0.6070 0.064
online_retail_2:2010-12-09 plain_lightgbm 0.825 0.481 605.8 1905 1.92 2.72 nan 0.707 0.283
online_retail_2:2010-12-09 bg_nbd 0.805 0.448 381.7 1255 0.89 2.13 nan 0.588 nan
online_retail_2:2011-03-09 plain_lightgbm 0.789 0.477 279.3 813 0.058 0.26 nan 0.534 0.064
online_retail_2:2011-03-09 bg_nbd 0.803 0.506 294.3 829 0.315 0.78 nan 0.522 nan
online_retail_2:2011-06-09 plain_lightgbm 0.855 0.541 242.7 1097 -0.273 0.23 nan 0.462 0.030
online_retail_2:2011-06-09 bg_nbd 0.850 0.537 283.6 978 0.133 1.25 nan nan nan
online_retail_2:2011-09-09 plain_lightgbm 0.824 0.583 385.0 2207 -0.452 0.62 nan 0.579 0.125
online_retail_2:2011-09-09 bg_nbd 0.823 0.563 384.5 2089 -0.347 0.29 nan 0.552 nan
"""  # noqa: E501 - one cell and method a line
Measures = Mapping[str, float]


def _parsed() -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for line in _TABLE.strip().splitlines():
        cell, method, *values = line.split()
        numbers = (float(value) for value in values)
        found.setdefault(cell, {})[method] = dict(zip(_NAMES, numbers, strict=True))
    return found


PUBLISHED = _parsed()  # cell -> method -> measure -> value


@dataclass(frozen=True)
class Verdict:
    """One line of the table against the targets."""

    target: str
    value: str
    must: str
    must_met: bool
    aim: str
    aim_met: bool
    worst: str  # the cell that is worst, with its value


def best_peer(peers: Mapping[str, Measures], measure: str) -> tuple[str, float]:
    """The oracle of one cell: the best of the peers by one measure, picked afterwards.

    NaN where it was measured of none.
    """
    pick = max if measure in HIGHER_IS_BETTER else min
    return pick(
        (
            (name, values[measure])
            for name, values in peers.items()
            if not np.isnan(values.get(measure, np.nan))
        ),
        key=lambda found: found[1],
        default=("", np.nan),
    )


def fill_missing(
    published: Mapping[str, Mapping[str, Measures]], found: Mapping[str, Mapping[str, Measures]]
) -> dict[str, dict[str, dict[str, float]]]:
    """The yardstick, with what it lacks taken from the peers that were run."""
    filled: dict[str, dict[str, dict[str, float]]] = {}
    for cell, methods in published.items():
        run = found.get(cell, {})
        for peer in PEERS:
            stated = {k: v for k, v in methods.get(peer, {}).items() if not np.isnan(v)}
            if values := dict(run.get(peer, {})) | stated:
                filled.setdefault(cell, {})[peer] = values
    return filled


def loss(measure: str, ours: float, theirs: float) -> float:
    """Ours beside theirs: a difference where higher is better, else a ratio minus 1."""
    return ours - theirs if measure in HIGHER_IS_BETTER else ours / theirs - 1.0


def judged(
    ours: Mapping[str, Measures], peers: Mapping[str, Mapping[str, Measures]]
) -> list[Verdict]:
    """Each target: what it asks on average and in the worst cell, and whether it is met.

    Both arguments are by cell; with one peer a cell, the targets are against that single method.
    """
    against = {
        measure: {
            cell: loss(measure, values[measure], best_peer(peers[cell], measure)[1])
            for cell, values in ours.items()
            if any(not np.isnan(p.get(measure, np.nan)) for p in peers[cell].values())
        }
        for measure in COMPARED
    }
    own = {
        measure: {cell: abs(values[measure]) for cell, values in ours.items()}
        for measure in ("bias", "decile_MAPE", "churn_ECE")
    }
    own["long"] = {cell: value for cell, value in own["bias"].items() if cell in LONG_HISTORY}
    own["short"] = {cell: value for cell, value in own["bias"].items() if cell not in own["long"]}
    lines: list[Verdict | None] = [
        _floored("nGini", against["nGini"], (0.004, -0.005), (0.010, 0.0)),
        _floored("Spearman", against["spearman"], (0.0, -0.010), (0.005, -0.010)),
        _ceiling("MAE", against["MAE"], -0.01, -0.03, _percent),
        _ceiling("RMSE", against["RMSE"], -0.03, -0.06, _percent),
        _ceiling("Tweedie deviance", against["deviance"], -0.02, -0.05, _percent),
        _ceiling("absolute bias, 15 months of orders", own["long"], 0.10, 0.06, _percent),
        _ceiling("absolute bias, shorter", own["short"], 0.16, 0.10, _percent),
        _ceiling("decile MAPE", own["decile_MAPE"], 0.20, 0.12, _plain),
        _ceiling("churn log loss", against["churn_log_loss"], 0.0, -0.015, _percent),
        _calibration(own["churn_ECE"]),
    ]
    if all("coverage" in values for values in ours.values()):
        lines += [_coverage(ours), _coverage_of_fifths(ours)]
    return [line for line in lines if line is not None]


def _floored(
    target: str, by_cell: Measures, must: tuple[float, float], aim: tuple[float, float]
) -> Verdict:
    mean, (cell, least) = _mean(by_cell), min(by_cell.items(), key=lambda item: item[1])

    def met(level: tuple[float, float]) -> bool:
        return mean >= level[0] and least >= level[1]

    def told(level: tuple[float, float]) -> str:
        return f">= {level[0]:+.3f}, no cell below {level[1]:+.3f}"

    return Verdict(
        target, f"{mean:+.4f}", told(must), met(must), told(aim), met(aim), f"{least:+.4f} {cell}"
    )


def _ceiling(
    target: str, by_cell: Measures, must: float, aim: float, shown: Callable[[float], str]
) -> Verdict | None:
    if not by_cell:
        return None  # no measured cell has this kind
    mean, (cell, most) = _mean(by_cell), max(by_cell.items(), key=lambda item: item[1])
    return Verdict(
        target,
        shown(mean),
        f"<= {shown(must)}",
        mean <= must,
        f"<= {shown(aim)}",
        mean <= aim,
        f"{shown(most)} {cell}",
    )


def _calibration(by_cell: Measures) -> Verdict:
    mean, (cell, most) = _mean(by_cell), max(by_cell.items(), key=lambda item: item[1])
    met = mean <= 0.025 and most <= 0.05
    rule = "<= 0.025, no cell above 0.05"
    return Verdict("churn ECE", _plain(mean), rule, met, rule, met, f"{_plain(most)} {cell}")


def _coverage(ours: Mapping[str, Measures]) -> Verdict:
    """Overall, per cell: how far the coverage leaves the band, whose top is never below the zeros'
    floor + 1.
    """
    by_cell = {cell: values["coverage"] for cell, values in ours.items()}

    def met(least: float, most: float) -> bool:
        return all(
            least <= v["coverage"] <= max(most, v["coverage_floor"] + 0.01) for v in ours.values()
        )

    cell = max(by_cell, key=lambda c: _outside(by_cell[c], 0.87, ours[c]["coverage_floor"], 0.94))
    return Verdict(
        "90 % intervals",
        f"{_mean(by_cell):.1%}",
        "each cell 87 % to max(94 %, floor + 1)",
        met(0.87, 0.94),
        "88 % to max(92 %, floor + 1)",
        met(0.88, 0.92),
        f"{by_cell[cell]:.1%} {cell}",
    )


def _coverage_of_fifths(ours: Mapping[str, Measures]) -> Verdict:
    far = {
        f"{cell} fifth {k}": (
            _outside(values[f"coverage_fifth_{k}"], 0.85, values[f"floor_fifth_{k}"], 0.97),
            values[f"coverage_fifth_{k}"],
        )
        for cell, values in ours.items()
        for k in range(1, 6)
    }
    worst = max(far, key=lambda name: far[name][0])
    mean, met = float(np.mean([value for _, value in far.values()])), far[worst][0] <= 0
    rule = "each 85 % to max(97 %, its floor + 1)"
    return Verdict(
        "90 % intervals by fifth",
        f"{mean:.1%}",
        rule,
        met,
        rule,
        met,
        f"{far[worst][1]:.1%} {worst}",
    )


def _outside(value: float, least: float, floor: float, most: float) -> float:
    """How far outside the band; negative is the distance to its nearer edge."""
    return max(least - value, value - max(most, floor + 0.01))


def _mean(by_cell: Measures) -> float:
    return float(np.mean(list(by_cell.values())))


def _percent(value: float) -> str:
    return f"{value:+.1%}"


def _plain(value: float) -> str:
    return f"{value:.3f}"
