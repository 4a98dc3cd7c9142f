"""Draw docs/result.png from a backtest folder: forecast against fact, and money found.

clvcast backtest configs/online_retail.yaml --cutoff 2011-06-10 --output backtest
python docs/draw_result.py backtest
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

METHODS = {"clvcast": "#1f5fbf", "span_rate": "#d9822b", "formula": "#8a8f98"}


def deciles(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean forecast and mean actual spend of ten equal groups by forecast."""
    ranked = rows.sort_values("expected_spend", kind="stable")
    group = np.arange(len(ranked)) * 10 // len(ranked) + 1
    return ranked.groupby(group)[["expected_spend", "actual_spend"]].mean()


def money_found(rows: pd.DataFrame) -> np.ndarray:
    """Share of all actual spend held by the first customers, best forecast first."""
    spend = rows.sort_values("expected_spend", ascending=False, kind="stable")["actual_spend"]
    return np.concatenate(([0.0], np.cumsum(spend.to_numpy()) / spend.sum()))


def draw(folder: Path, target: Path) -> None:
    """Write the picture."""
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    cutoff = forecasts["cutoff"].iloc[0].date()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    groups = deciles(forecasts[forecasts["method"] == "clvcast"])
    left.plot(groups["expected_spend"], "o", label="forecast", color="#1f5fbf")
    left.plot(groups["actual_spend"], "D", label="what happened", color="#d9822b", fillstyle="none")
    left.set_yscale("log")
    left.set_xticks(range(1, 11))
    left.set_xlabel("customers in ten equal groups, by forecast")
    left.set_ylabel("mean spend in 90 days, GBP")
    left.set_title(f"Forecast at {cutoff} and the 90 days that followed", loc="left", fontsize=11)
    left.legend(frameon=False)
    for method, colour in METHODS.items():
        found = money_found(forecasts[forecasts["method"] == method])
        share = np.linspace(0, 100, len(found))
        right.plot(share, 100 * found, label=method, color=colour)
    right.plot([0, 100], [0, 100], color="#cccccc", linewidth=1, linestyle=":")
    right.set_xlabel("% of customers, best forecast first")
    right.set_ylabel("% of the money they spent")
    top = 100 * money_found(forecasts[forecasts["method"] == "clvcast"])
    right.set_title(
        f"The best fifth by forecast spent {top[len(top) // 5]:.0f} % of the money",
        loc="left",
        fontsize=11,
    )
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(Path(sys.argv[1]), Path(__file__).parent / "result.png")
