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
from clvcast.train.btyd.fitting import fit_order_model, fit_value_model

__all__ = ["COLUMNS", "METHODS", "Method", "log_likelihood"]

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (
    "churn_probability",
    "expected_spend",
    "expected_spend_lower",
    "expected_spend_upper",
    "clv",
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
            for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
                digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


def _clvcast(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    """Our default: nothing but the horizon (the periods where several are asked for, and the seed)
    is set.
    """
    more = {"periods": cell.periods} if cell.periods > 1 else {}
    config = clvcast.Config(horizon_days=cell.horizon_days, seed=seed * _SEEDS_APART, **more)
    model = clvcast.train(days, config, cutoff=cell.cutoff)  # type: ignore[arg-type]
    return clvcast.score(model, days, cutoff=cell.cutoff).set_index("customer_id")


def _quick_lightgbm(days: pd.DataFrame, cell: Cell, seed: int) -> pd.DataFrame:
    from accuracy_lightgbm import quick_lightgbm

    return quick_lightgbm(days, cell.cutoff, cell.horizon_days, seed)


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
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder) / "days.parquet", Path(folder) / "forecast.parquet"
            days.to_parquet(source)
            python = _environment(LIFETIMES) / "bin" / "python"
            script = ROOT / "benchmarks" / "accuracy_lifetimes.py"
            asked = (cell.cutoff.date(), cell.horizon_days, cell.periods)
            command = [python, script, method, source, *asked, output]
            silent = subprocess.DEVNULL  # it prints every search that did not converge
            subprocess.run([str(part) for part in command], check=True, stdout=silent)
            return pd.read_parquet(output)

    return forecast


def _environment(packages: tuple[str, ...]) -> Path:
    """A virtual environment under build/ with these packages; whole, or made anew."""
    folder = ROOT / "build" / "lifetimes"
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
_ADAPTERS = "benchmarks/accuracy_methods.py"
METHODS: dict[str, Method] = {
    "clvcast": Method(
        _clvcast, (_ADAPTERS, "__init__.py", "configs", "features", "serve", "train")
    ),
    "quick_lightgbm": Method(_quick_lightgbm, ("benchmarks/accuracy_lightgbm.py",)),
    "bg_nbd": Method(_btyd("bg_nbd"), (_ADAPTERS, *_BTYD), random=False),
    "pareto_nbd": Method(_btyd("pareto_nbd"), (_ADAPTERS, *_BTYD), random=False),
    **{
        f"lifetimes_{name}": Method(_lifetimes(name), ("benchmarks/accuracy_lifetimes.py",), False)
        for name in ("bg_nbd", "pareto_nbd")
    },
}
