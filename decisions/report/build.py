"""report: one page from forecasts, the orders they were made from, and how good the model was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from ...atomic_files import write_files
from ...configs.schema import Config
from ...errors import OrdersError
from ...evaluation.backtest_frames import Evaluation
from ...evaluation.forecast_file import coerce_forecasts
from ...features.checks.data_checks import check
from ...models.forecast_terms import read_terms
from ...orders import dates
from ...orders.orders import Orders
from ..customer_base import CustomerBase, ForecastSource, OrdersSource, open_customer_base
from .accuracy import build_accuracy_section
from .actions import build_action_section
from .change import build_change_section
from .levers import build_lever_section
from .model_and_data import build_model_section, build_quality_section
from .number_format import NumberFormat
from .page_model import Fact, ReportSection
from .render import render
from .report_data import ReportData
from .risk import build_risk_section
from .value import build_facts, build_value_section

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...models.model import TrainedModel

__all__ = ["Report", "evaluation_report", "report"]

_BUSINESS, _SCIENCE = "For those who decide", "For data scientists"


@dataclass(frozen=True)
class Report:
    """The blocks of a report, and the page they make."""

    title: str
    subtitle: str
    facts: tuple[Fact, ...]
    business: tuple[ReportSection, ...]
    science: tuple[ReportSection, ...]
    remarks: tuple[str, ...]

    @property
    def html(self) -> str:
        """One self-contained page."""
        return self.page()

    def page(self, filters: Mapping[str, Sequence[str]] | None = None) -> str:
        """The page; with filters (dimension -> its names) a server's, where customers can be looked up."""
        halves = ((_BUSINESS, self.business), (_SCIENCE, self.science))
        parts = [(headline, sections) for headline, sections in halves if sections]
        made_by = f"Made by clvcast {version('clvcast')}."
        return render(
            self.title, self.subtitle, self.facts, parts, self.remarks, made_by, filters or {}
        )

    def save(self, path: str | Path) -> None:
        """Write the page, whole or not at all."""
        write_files({Path(path): self.html})


def report(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
    *,
    previous: pd.DataFrame | pa.Table | str | Path | None = None,
    model: TrainedModel | None = None,
    backtest: Evaluation | str | Path | None = None,
    with_ids: bool = False,
) -> Report:
    """The report of a forecast file: `.html` is the page, `.save(path)` writes it.

    `previous` (an earlier forecast file) adds what changed since, `model` what its trees look at, `backtest` (the folder that `clvcast backtest` wrote) how good
    forecasts were. Without a configuration the model's settings hold. Customers are named only
    `with_ids`. Raises what `clvcast.kpis` raises.
    """
    base = open_customer_base(forecasts, orders, config, model=model)
    evaluation = backtest if backtest is None or isinstance(backtest, Evaluation) else None
    if backtest is not None and evaluation is None:
        evaluation = Evaluation.read(Path(str(backtest)))
    content = ReportData.of(base)
    writing = NumberFormat.of(base.config)
    remarks = list(content.remarks)
    science: list[ReportSection] = []
    if evaluation is not None:
        science.append(build_accuracy_section(evaluation, writing))
    if model is not None:
        told = _stranger(model, content, base.config)
        remarks += told
        if model.version == content.model_version:
            science.append(build_model_section(model, writing))
    business = [
        build_value_section(content, writing),
        build_risk_section(content, writing),
        build_lever_section(content, writing),
        build_action_section(content, writing, with_ids=with_ids),
    ]
    if previous is not None:
        own = model if model is not None and model.version == content.model_version else None
        before = _comparable(previous, base)
        since = dates.format_instant(int(before["cutoff"][0].cast(pa.int64()).as_py()))
        change = _changed(before, base, own, remarks)
        business.insert(
            1, build_change_section(change, since, content.cutoff, writing, with_ids=with_ids)
        )
    findings = check(base.orders, base.config)
    science.append(build_quality_section(base.orders.report, findings, writing))
    return Report(
        title=base.config.report.title,
        subtitle=(
            f"Forecasts at {content.cutoff} by model {content.model_version}, over "
            f"{content.span_days} days"
        ),
        facts=build_facts(content, writing),
        business=tuple(business),
        science=tuple(science),
        remarks=_amiss(content, remarks),
    )


def evaluation_report(
    evaluation: Evaluation, config: Config, orders: Orders | None = None
) -> Report:
    """The data scientists' half alone, of a backtest."""
    writing = NumberFormat.of(config)
    science = [build_accuracy_section(evaluation, writing)]
    if orders is not None:
        science.append(build_quality_section(orders.report, check(orders, config), writing))
    cutoffs = ", ".join(evaluation.metrics)
    return Report(
        title="How good the forecasts were",
        subtitle=f"Backtest at {cutoffs}, horizon {evaluation.horizon_days} days",
        facts=(),
        business=(),
        science=tuple(science),
        remarks=(),
    )


def _comparable(previous: pd.DataFrame | pa.Table | str | Path, base: CustomerBase) -> pa.Table:
    """The earlier forecasts; raises `OrdersError` for those of another margin, span or horizon."""
    before = coerce_forecasts(previous)
    then, now = read_terms(before), read_terms(base.forecasts)
    if then is None or now is None:
        return before
    ours = now.keys()
    differ = [key for key, value in then.keys().items() if key in ours and value != ours[key]]
    if differ:
        theirs = " and ".join(f"{key} {then.keys()[key]}" for key in differ)
        told = " and ".join(f"{key} {ours[key]}" for key in differ)
        raise OrdersError(
            f"the previous forecasts were made with {theirs}, these with {told}: what changed would be "
            "that; score the earlier cutoff again with the present configuration"
        )
    return before


def _changed(
    before: pa.Table, base: CustomerBase, model: TrainedModel | None, remarks: list[str]
) -> Comparison:
    """The two forecasts compared: with their model and orders where these give them again."""
    from ...evaluation.comparison import (
        compare,  # which brings LightGBM, seconds that most reports need not wait
    )

    left, right = before.to_pandas(), base.forecasts.to_pandas()
    own = before["model_version"][0].as_py(), base.forecasts["model_version"][0].as_py()
    if own[0] != own[1]:
        remarks.append(
            f"the forecasts before were made by another model, {own[0]}: part of the change is the model's"
        )
    if model is not None:
        try:
            return compare(left, right, model, base.orders)
        except OrdersError as error:
            remarks.append(f"the change is told from the files alone: {error}")
    return compare(left, right)


def _stranger(model: TrainedModel, content: ReportData, config: Config) -> list[str]:
    """What does not fit between a model and the forecasts beside it."""
    told = []
    if model.version != content.model_version:
        told.append(
            f"the forecasts were made by model {content.model_version}, the model given is "
            f"{model.version}: what it looks at is left out; give the model that made them"
        )
    own, theirs = model.orders.currency, config.orders.currency
    if own and theirs and own != theirs:
        told.append(
            f"the model learned from amounts in {own}, the configuration says {theirs}: amounts are "
            f"shown as {theirs}, nothing is converted; name the orders' own currency in orders.currency"
        )
    return told


def _amiss(content: ReportData, remarks: Sequence[str]) -> tuple[str, ...]:
    """The remarks, and what a reader of such forecasts must know."""
    told = list(remarks)
    if not content.clv[0] > 0:
        told.insert(0, "no spend is expected of any customer: shares of the value are empty")
    return tuple(dict.fromkeys(told))
