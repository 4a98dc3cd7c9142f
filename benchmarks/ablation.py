"""What each trick of the model is worth: taken out one at a time, over the accuracy cells.

    python benchmarks/ablation.py                   every cell, effort quick, one seed
    python benchmarks/ablation.py --cells tafeng

The page is results/ablation.md. Finished (trick, cell) pairs are kept in build/ablation by a digest
of the sources they depend on, so that an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from unittest.mock import patch

import numpy as np
from accuracy_data import CELLS, ROOT, Cell, actual_spend, known_days, order_days

import clvcast
from clvcast.evaluation import measures, standard_measures
from clvcast.models import blend
from clvcast.train import blending, boosting, training_frame

KEPT = ROOT / "build" / "ablation"
RESULT = ROOT / "benchmarks" / "results" / "ablation.md"
Patches = Callable[[ExitStack], object]


def _set(module: object, name: str, value: object) -> Patches:
    return lambda stack: stack.enter_context(patch.object(module, name, value))


def _one_head(head: str) -> Patches:
    """Both heads of spend replaced by one of them."""

    def combine(settings, btyd, heads):  # type: ignore[no-untyped-def]
        if heads is None:
            return COMBINE(settings, btyd, heads)
        churn = COMBINE(settings, btyd, heads).churn_probability
        hurdle = (1.0 - churn) * heads.spend_if_ordered
        chosen = hurdle if head == "ordered" else heads.spend
        # mean((1 - churn) x ordered, spend) of the result is `chosen`
        same = blend.Heads(heads.churn_log_odds, chosen / (1.0 - churn), chosen)
        return COMBINE(settings, btyd, same)

    def patches(stack: ExitStack) -> None:
        import clvcast.models.model as model
        import clvcast.train.fit as fit

        for module in (model, fit, blending):
            stack.enter_context(patch.object(module, "blend_forecasts", combine))

    return patches


def _no_start(stack: ExitStack) -> None:
    """The ordered head starts from the order value, not from BTYD."""
    flat = property(lambda self: np.log(np.maximum(self.order_value, 1e-6)))
    stack.enter_context(patch.object(blend.BtydViews, "log_spend_if_ordered", flat))


COMBINE = blend.blend_forecasts
TRICKS: dict[str, Patches] = {
    "nothing": lambda stack: None,
    "BTYD in churn": _set(blending, "_CHURN_WEIGHTS", (0.0, 0.0)),
    "BTYD in spend": _set(blending, "_SPEND_WEIGHTS", (1e-9, 1e-9)),
    "levels between trees and BTYD": _set(blending, "_LEVEL_WEIGHT", 0.0),
    "direct spend (hurdle alone)": _one_head("ordered"),
    "hurdle (direct spend alone)": _one_head("spend"),
    "BTYD's start of the hurdle": _no_start,
    "more weight on recent cutoffs": _set(training_frame, "_HALF_LIFE_HORIZONS", 1e6),
    "shrinkage of leaves": _set(
        boosting, "_PARAMETERS", boosting._PARAMETERS | {"lambda_l2": 0.0, "feature_fraction": 1.0}
    ),
    "shallow trees": _set(boosting, "_PARAMETERS", boosting._PARAMETERS | {"num_leaves": 31}),
}


def evaluate(trick: str, cell: Cell, customers: int | None) -> dict[str, float]:
    """The measures of a cell without a trick; kept from before where they are there."""
    name = f"{trick}-{cell.data}-{cell.last_day}-{customers or 'all'}.json".replace(" ", "_")
    path = KEPT / digest() / name
    if path.exists():
        return dict(json.loads(path.read_text()))
    days = order_days(cell.data)
    if customers:
        ids = sorted(days["customer_id"].unique(), key=lambda name: zlib.crc32(name.encode()))
        days = days[days["customer_id"].isin(ids[:customers])]
        cell = replace(cell, customers=None)
    with ExitStack() as stack:
        TRICKS[trick](stack)
        config = clvcast.Config(horizon_days=cell.horizon_days, effort="quick")
        known = known_days(days, cell)
        model = clvcast.train(known, config, cell.cutoff)
        forecast = clvcast.score(model, known, cell.cutoff).set_index("customer_id")
    actual = actual_spend(days, cell)[1].to_numpy()
    spend = forecast["expected_spend"].to_numpy()
    churn = forecast["churn_probability"].to_numpy()
    ordered = actual > 0
    found = {
        "nGini": measures.normalised_gini(spend, actual),
        "MAE": standard_measures.mean_absolute_error(spend, actual),
        "RMSE": standard_measures.root_mean_squared_error(spend, actual),
        "bias": abs(measures.bias(spend, actual)),
        "decile MAPE": measures.decile_mape(spend, actual),
        "log loss": standard_measures.log_loss(churn, ~ordered),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def digest() -> str:
    """Changes with what a forecast depends on."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for folder in ("configs", "orders", "features", "models", "train"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


RELATIVE = ("MAE", "RMSE", "log loss")  # as a ratio less one; the others as a difference


def change(without: dict[str, float], whole: dict[str, float]) -> dict[str, float]:
    """What a cell's measures become when a trick is taken out."""
    return {
        name: without[name] / whole[name] - 1.0 if name in RELATIVE else without[name] - whole[name]
        for name in whole
    }


def interval(values: list[float]) -> str:
    """The mean over cells and the 95 % interval of a paired bootstrap over them."""
    drawn = np.random.default_rng(0).choice(values, (2_000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{np.mean(values):+.4f} [{low:+.4f}, {high:+.4f}]"


def table(cells: list[Cell], customers: int | None) -> list[str]:
    """Lines of markdown: a row per trick taken out."""
    whole = [evaluate("nothing", cell, customers) for cell in cells]
    lines = [f"| taken out | {' | '.join(whole[0])} |", "|---" * (len(whole[0]) + 1) + "|"]
    means = {name: float(np.mean([one[name] for one in whole])) for name in whole[0]}
    lines.append("| nothing: the mean | " + " | ".join(f"{v:.3f}" for v in means.values()) + " |")
    for trick in TRICKS:
        if trick == "nothing":
            continue
        changes = [
            change(evaluate(trick, cell, customers), one)
            for cell, one in zip(cells, whole, strict=True)
        ]
        print(trick, customers or "", flush=True)
        told = (interval([one[name] for one in changes]) for name in means)
        lines.append(f"| {trick} | {' | '.join(told)} |")
    return lines


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", default="", help="data sets, comma-separated; all without it")
    options = parser.parse_args()
    cells = [cell for cell in CELLS if not options.cells or cell.data in options.cells.split(",")]
    lines = [
        "# Ablation",
        "",
        f"{date.today()}, clvcast {clvcast.__version__}, Python {platform.python_version()}. "
        "Command: "
        "`python benchmarks/ablation.py`.",
        "",
        "What the measures become when one trick is taken out: the mean over cells, and the 95 "
        "% interval of a",
        "bootstrap over them. `effort: quick`, one seed. nGini, bias (absolute) and decile MAPE "
        "as differences, MAE,",
        "RMSE and log loss as ratios less one. A trick pays where nGini falls or an error rises "
        "without it.",
    ]
    for title, customers in (
        (f"{len(cells)} cells whole", None),
        ("a thousand customers each", 1_000),
    ):
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", *table(cells, customers)]
    text = "\n".join(lines) + "\n"
    print(text)
    if not options.cells:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
