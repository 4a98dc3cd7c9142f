"""The methods that are compared: each one function of what was known, and nothing else.

A method gets the order days before the cutoff, the cell (its cutoff, horizon and periods) and a
seed; it returns a DataFrame with a row per customer (index, sorted): `churn_probability`,
`expected_spend`, and where it has them `expected_spend_lower`, `expected_spend_upper` and `clv`
over the cell's periods. It may have further columns.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy_data import Cell
from filelock import FileLock
from scipy.special import betaln, gammaln

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.recency_frequency import count_order_days
from clvcast.models.btyd import forecasts
from clvcast.orders.dates import parse_instant
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.backtest.baselines import build_baseline_inputs
from clvcast.train.backtest.plain_lightgbm import (
    build_examples,
    forecast_plain_lightgbm,
    select_features,
)
from clvcast.train.btyd.fitting import fit_order_model, fit_value_model

__all__ = ["COLUMNS", "METHODS", "PYMC", "Method", "log_likelihood", "make_environment"]

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (
    "churn_probability",
    "expected_spend",
    "expected_spend_lower",
    "expected_spend_upper",
    "clv",
    "clv_lower",
    "clv_upper",
)
# the newest that lifetimes 0.11.3 (2020, the last) runs with
LIFETIMES = (
    "lifetimes==0.11.3",
    "numpy==1.26.4",
    "pandas==2.2.3",
    "scipy==1.11.4",
    "autograd==1.6.2",
    "pyarrow==17.0.0",
)
PYMC = ("pymc-marketing==0.19.2", "pyarrow")
_SEEDS_APART = 1_000  # a model averages neighbouring seeds: two runs must share none


@dataclass(frozen=True)
class Method:
    """How to forecast, and what the forecast depends on: a change of these files is
    another method.
    """

    forecast: Callable[[pd.DataFrame, Cell, int], pd.DataFrame]
    sources: tuple[str, ...]  # files and folders, from the root of the repository
    random: bool = True  # without chance one seed tells everything

    def digest(self) -> str:
        """Twelve digits that change with the method's sources and LightGBM's version.

        Raises `RuntimeError` where the clvcast that would be measured is not the one beside this
        file.
        """
        imported = Path(str(clvcast.__file__)).resolve().parent
        if imported != ROOT:
            raise RuntimeError(
                f"clvcast must be imported from {ROOT}, got {imported}; set PYTHONPATH"
            )
        digest = hashlib.sha256(version("lightgbm").encode())
        for source in (
            "benchmarks/accuracy_data.py",
            "benchmarks/accuracy_methods.py",
            *self.sources,
        ):
            path = ROOT / source
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
                digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


def _clvcast(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    """Our default: nothing but the horizon (the periods where several are asked for, and the seed)
    is set.
    """
    more = {"periods": cell.periods} if cell.periods > 1 else {}
    config = clvcast.Config(horizon_days=cell.horizon_days, seed=seed * _SEEDS_APART, **more)
    model = clvcast.train(days, config, cutoff=cell.cutoff)
    return clvcast.score(model, days, cutoff=cell.cutoff).set_index("customer_id")


def _plain_lightgbm(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    orders = read_table(days, OrdersConfig())
    at = parse_instant(cell.cutoff)
    known = build_baseline_inputs(orders, at, cell.horizon_days, cell.periods)
    made = forecast_plain_lightgbm(known, seed)
    columns = {"churn_probability": made.churn_probability, "expected_spend": made.expected_spend}
    if made.clv is not None:
        columns["clv"] = made.clv
    return pd.DataFrame(columns, index=orders.customer_ids.to_pylist())


def _ziln(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    from accuracy_ziln import forecast_ziln

    orders = read_table(days, OrdersConfig())
    known = build_baseline_inputs(orders, parse_instant(cell.cutoff), cell.horizon_days)
    inputs, happened = build_examples(known, 1)
    asked = select_features(known)
    churn, spend = forecast_ziln(inputs, np.maximum(happened.spend[:, 0], 0.0), asked, seed)
    columns = {"churn_probability": churn, "expected_spend": spend}
    return pd.DataFrame(columns, index=orders.customer_ids.to_pylist())


def _pymc(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    script = ROOT / "benchmarks" / "accuracy_pymc.py"
    asked = (cell.cutoff.date(), cell.horizon_days, cell.periods)
    return _run_apart(make_environment("pymc", PYMC), script, (), days, asked)


def _span_rate(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    """A customer's spend per day since the shop's first order, as long as the span."""
    spend = days.groupby("customer_id")["amount"].sum()
    daily = spend / (cell.cutoff - days["ordered_at"].min()).days
    made = {"expected_spend": daily * cell.horizon_days}
    return pd.DataFrame(made | {"clv": daily * cell.horizon_days * cell.periods})


def _last_two_spans(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    """The mean of a customer's spend in the last two spans, as far as history reaches."""
    span = cell.horizon_days * cell.periods
    length = min(2 * span, (cell.cutoff - days["ordered_at"].min()).days)
    recent = days["ordered_at"] >= cell.cutoff - pd.Timedelta(days=length)
    spend = (days["amount"] * recent).groupby(days["customer_id"]).sum()
    made = {"expected_spend": spend * cell.horizon_days / length}
    return pd.DataFrame(made | {"clv": spend * span / length})


def _btyd(kind: Any) -> Callable[[pd.DataFrame, Cell, int], pd.DataFrame]:
    """Our own BTYD with Gamma-Gamma; churn is the chance of no order in the horizon."""

    def forecast(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
        orders = read_table(days, OrdersConfig())
        histories = count_order_days(orders, parse_instant(cell.cutoff))
        fitted = fit_order_model(histories, kind)
        value = forecasts.predict_order_value(fit_value_model(histories).model, histories)
        expected, until_end = (
            forecasts.predict_order_days(fitted.model, histories, cell.horizon_days * k)
            for k in (1, cell.periods)
        )
        ordering = forecasts.predict_order_probability(fitted.model, histories, cell.horizon_days)
        columns = {"churn_probability": 1.0 - ordering, "expected_spend": expected * value}
        made = pd.DataFrame(
            columns | {"clv": until_end * value}, index=orders.customer_ids.to_pylist()
        )
        made.attrs["fitted"] = json.dumps(
            {"fitted": fitted.model.kind, "converged": fitted.converged}
            | fitted.model.model_dump(exclude={"kind"})
        )
        return made

    return forecast


def log_likelihood(days: pd.DataFrame, cell: Cell, fitted: Mapping[str, Any]) -> float:
    """Of all customers' histories, at the parameters of a fit of ours or of lifetimes.

    The likelihood of being alive still, times 1 + the odds of having left (Fader, Hardie and Lee
    2005, for both).
    """
    orders = read_table(days, OrdersConfig())
    known = count_order_days(orders, parse_instant(cell.cutoff))
    x, tenure = known.n_repeat_days, known.tenure_days
    kind = forecasts.ParetoNbd if fitted["fitted"] == "pareto_nbd" else forecasts.BgNbd
    model: Any = kind(**{name: fitted[name] for name in kind.model_fields if name != "kind"})
    r, alpha = model.r, model.alpha
    alive = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + tenure)
    if isinstance(model, forecasts.ParetoNbd):
        alive = alive - model.s * np.log1p(tenure / model.beta)
    else:
        alive = alive + betaln(model.a, model.b + x) - betaln(model.a, model.b)
    return float((alive + np.logaddexp(0.0, forecasts.compute_log_odds_gone(model, known))).sum())


def _lifetimes(method: str) -> Callable[[pd.DataFrame, Cell, int], pd.DataFrame]:
    """An environment of its own, made once: lifetimes needs older packages than ours."""

    def forecast(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
        script = ROOT / "benchmarks" / "accuracy_lifetimes.py"
        asked = (cell.cutoff.date(), cell.horizon_days, cell.periods)
        environment = make_environment("lifetimes", LIFETIMES)
        return _run_apart(environment, script, (method,), days, asked)

    return forecast


def _run_apart(
    environment: Path,
    script: Path,
    before: tuple[object, ...],
    days: pd.DataFrame,
    after: tuple[object, ...],
) -> pd.DataFrame:
    """What a script of another environment forecasts from the days."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "days.parquet", Path(folder) / "forecast.parquet"
        days.to_parquet(source)
        command = [environment / "bin" / "python", script, *before, source, *after, output]
        silent = subprocess.DEVNULL  # lifetimes prints every search that did not converge
        subprocess.run([str(part) for part in command], check=True, stdout=silent)
        return pd.read_parquet(output)


def make_environment(name: str, packages: tuple[str, ...]) -> Path:
    """A virtual environment under build/ with these packages; whole, or made anew."""
    folder = ROOT / "build" / name
    done = folder / "packages"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not done.exists() or done.read_text() != " ".join(packages):
            venv.create(folder, clear=True, with_pip=True)
            install = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", *packages]
            subprocess.run(install, check=True)
            done.write_text(" ".join(packages))
    return folder


_BTYD = (
    "configs",
    "features",
    "models/btyd/forecasts.py",
    "train/btyd/fitting.py",
    "train/btyd/likelihoods.py",
)
_PLAIN = (
    "features",
    "train/backtest/baselines.py",
    "train/backtest/plain_lightgbm.py",
)
_ADAPTERS = "benchmarks/accuracy_methods.py"
METHODS: dict[str, Method] = {
    "clvcast": Method(_clvcast, (_ADAPTERS, "configs", "orders", "features", "models", "train")),
    "plain_lightgbm": Method(_plain_lightgbm, _PLAIN),
    "ziln": Method(_ziln, ("benchmarks/accuracy_ziln.py", *_PLAIN)),
    "pymc_bg_nbd": Method(_pymc, ("benchmarks/accuracy_pymc.py",), random=False),
    "span_rate": Method(_span_rate, (), random=False),
    "last_two_spans": Method(_last_two_spans, (), random=False),
    "bg_nbd": Method(_btyd("bg_nbd"), (_ADAPTERS, *_BTYD), random=False),
    "pareto_nbd": Method(_btyd("pareto_nbd"), (_ADAPTERS, *_BTYD), random=False),
    **{
        f"lifetimes_{name}": Method(_lifetimes(name), ("benchmarks/accuracy_lifetimes.py",), False)
        for name in ("bg_nbd", "pareto_nbd")
    },
}
