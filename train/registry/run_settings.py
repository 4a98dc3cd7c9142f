"""What a run was made with, as MLflow shows it: parameters, a configuration file, and a note."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import yaml

from ...configs.addresses import hide_passwords
from ...configs.schema import Config
from ...models.scoring import describe_terms
from ...orders import dates, windows
from ..backtest.summary import describe_verdict
from ..boosting import list_tree_parameters
from ..run import TrainingRun

__all__ = ["CONFIG_FILE", "describe_sample", "format_config", "list_parameters", "write_note"]

CONFIG_FILE = "config.yaml"  # among a run's artifacts
_LIBRARIES = ("clvcast", "lightgbm", "mlflow", "numba", "numpy", "pandas", "pyarrow", "scipy")
_LONGEST = 500  # characters of a parameter's value, which an older store can hold
_SHOWN = ("nGini", "MAE", "bias", "churn_AUC", "churn_ECE", "coverage_90")


def list_parameters(run: TrainingRun, config: Config) -> dict[str, str]:
    """Settings, data and library versions of a run: name -> value, as MLflow's parameters.

    Where a search chose parameters of the trees, they are the chosen ones.
    """
    reading, numbers = run.known.report, run.model.numbers
    learned = config.learning() | dict(numbers.settings)
    trees = next(iter(run.model.trees.values()), ())
    order_model, economics = numbers.blend.order_model, run.model.economics
    parameters: dict[str, Any] = {
        "cutoff": dates.format_instant(run.cutoff),
        "horizon_days": config.horizon_days,
        "periods": config.periods,
        "effort": config.effort,
        "target": config.target,
        "margin_rate": economics.margin_rate if economics.margin_source != "unknown" else "unknown",
        "margin_source": economics.margin_source,
        "annual_discount_rate": config.economics.annual_discount_rate,
        "seed": config.seed,
        "seeds": len(trees),
        "order_model": order_model.kind,
        **_flatten(order_model.model_dump(exclude={"kind"}), order_model.kind),
        **_flatten(numbers.blend.order_values.model_dump(), "gamma_gamma"),
        "features": len(numbers.features),
        "customers": run.known.n_customers,
        "order_lines": run.known.n_lines,
        "share": f"{run.share:.6g}",  # of the shop's customers
        "memory_limit": config.memory_limit or "none",
        "lines_without_customer": reading.lines_without_customer,
        "lines_rejected": sum(reading.rejected.values()),
        "first_order": dates.format_instant(windows.find_first_order_at(run.known)),
    }
    model = learned.pop("model")
    parameters |= _flatten(list_tree_parameters(model["parameters"]), "lightgbm")
    parameters |= _flatten({k: model[k] for k in ("leave_out", "monotone") if k in model}, "model")
    parameters |= {k: v for k, v in _flatten(learned).items() if k not in parameters}
    parameters |= _flatten(config.gate.model_dump(mode="json"), "gate")
    parameters["version.python"] = ".".join(map(str, sys.version_info[:3]))
    parameters |= {f"version.{name}": version(name) for name in _LIBRARIES}
    return {name: str(value)[:_LONGEST] for name, value in parameters.items()}


def _flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{above}.{name}" if above else name
        flat |= _flatten(value, path) if isinstance(value, Mapping) and value else {path: value}
    return flat


def describe_sample(run: TrainingRun) -> str:
    """What a sample is of, to stand beside its totals; empty where everything was trained on."""
    if run.share == 1.0:
        return run.sample_remark
    return f"counts and totals are those of a sample of the customers; {run.sample_remark}"


def format_config(config: Config) -> str:
    """The configuration as YAML, with what it states and without passwords."""
    # a command to notify somebody may hold a token
    content = config.model_dump(mode="json", exclude_unset=True, exclude={"notify"})
    content_json = json.dumps(content)
    return yaml.safe_dump(
        json.loads(hide_passwords(content_json)), sort_keys=False, allow_unicode=True
    )


def write_note(run: TrainingRun, config: Config, outcome: str = "") -> str:
    """A summary of a run for MLflow's page, in Markdown: outcome, settings, data, accuracy."""
    observed = run.known
    first = dates.format_instant(windows.find_first_order_at(observed))
    parts = [
        outcome,
        f"**Model** {run.model.version}: periods of {config.horizon_days} days, {config.periods} "
        f"in a CLV, effort {config.effort}, target {config.target}. The CLV is "
        f"{describe_terms(run.model).describe_basis()}.",
        f"**Data**: {observed.n_customers:,} customers, {observed.n_lines:,} order lines "
        f"from {first} to {dates.format_instant(run.cutoff)}.",
    ]
    if run.sample_remark:
        parts.append(f"**Sample**: {describe_sample(run)}.")
    if run.evaluation is None:
        parts.append("The history is too short for a holdout window: nothing was measured.")
    else:
        cutoff = run.evaluation.newest
        summary = run.evaluation.metrics[cutoff]
        parts.append(
            f"**Accuracy** in the {summary['horizon_days']} days from {cutoff}, with "
            f"{summary['customers']:,} customers. {summary['scorecard']['sentence']} "
            f"{summary['scorecard']['standards']}"
        )
        parts.append(_format_measures(summary["methods"]))
        parts.append(" ".join(describe_verdict(summary)))
    parts.append("`report.html` has the charts; that of a nightly run is in its own folder.")
    return "\n\n".join(part for part in parts if part)


def _format_measures(methods: Mapping[str, Mapping[str, float | None]]) -> str:
    rows = [f"| method | {' | '.join(_SHOWN)} |", f"|---|{'---:|' * len(_SHOWN)}"]
    for method, measures in methods.items():
        values = (measures.get(name) for name in _SHOWN)
        cells = ["-" if value is None else f"{value:,.3f}" for value in values]
        rows.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(rows)
