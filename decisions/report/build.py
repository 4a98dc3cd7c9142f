"""report: one page from forecasts, the orders they were made from, and an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ...atomic_files import write_files
from ...configs.schema import Config
from ...errors import OrdersError
from ...evaluation.backtest_frames import Evaluation
from ...evaluation.forecast_file import Forecasts, ForecastSource, read_forecasts
from ...features.checks.data_checks import check
from ...models.forecast_terms import check_terms
from ...orders import dates
from ...orders.orders import Orders
from ..customer_base import CustomerBase, OrdersSource, open_customer_base
from .accuracy import build_accuracy_section
from .actions import build_action_section
from .change import build_change_section
from .levers import build_lever_section
from .model_and_data import build_model_section, build_quality_section
from .number_format import NumberFormat
from .page_model import Fact, ReportSection
from .render import render
from .report_data import ReportData
from .value import build_facts, build_risk_section, build_value_section

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...models.model import TrainedModel

__all__ = ["Report", "evaluation_report", "report"]

_BUSINESS, _SCIENCE = "For decision makers", "For data scientists"


@dataclass(frozen=True)
class Report:
    """The contents of a report, and its page."""

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
        """The page; with filters (dimension -> its names) it has a customer search, for servers."""
        all_parts = ((_BUSINESS, self.business), (_SCIENCE, self.science))
        parts = [(headline, sections) for headline, sections in all_parts if sections]
        made_by = f"Made by clvcast {version('clvcast')}."
        return render(
            self.title, self.subtitle, self.facts, parts, self.remarks, made_by, filters or {}
        )

    def save(self, path: str | Path) -> None:
        """Write the page, all or nothing."""
        write_files({Path(path): self.html})


def report(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
    *,
    previous: ForecastSource | None = None,
    model: TrainedModel | None = None,
    backtest: Evaluation | str | Path | None = None,
    with_ids: bool = False,
) -> Report:
    """Build the report of a forecast: one self-contained HTML page.

    Parameters
    ----------
    forecasts : DataFrame, pyarrow.Table, str, Path or CustomerBase
        Forecasts of one cutoff, as `clvcast.score` returns them, or their file.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders the forecasts were made from, or where to read them. Required unless
        `forecasts` is a CustomerBase, which holds them.
    config : Config, optional
        Settings of the shop; by default those of the model.
    previous : DataFrame, pyarrow.Table, str or Path, optional
        An earlier forecast; adds what has changed since.
    model : Model, optional
        The model of the forecasts; adds which features its trees use.
    backtest : Evaluation, str or Path, optional
        The folder that `clvcast backtest` wrote; adds how good forecasts were.
    with_ids : bool, default False
        Name customers by their ids.

    Returns
    -------
    Report
        `.html` is the page, `.save(path)` writes it.

    Raises
    ------
    OrdersError
        If a file holds no forecasts, or the forecasts were not made from these orders.
    ConfigError
        If the orders are missing, or the configuration contradicts the forecasts.

    """
    base = open_customer_base(forecasts, orders, config, model=model)
    if isinstance(backtest, str | Path):
        backtest = Evaluation.read(Path(backtest))
    content = ReportData.of(base)
    writing = NumberFormat.of(base.config, base.terms.basis)
    remarks = [*content.warnings, *content.remarks]
    if not content.clv[0] > 0:
        remarks.insert(0, "no spend is expected of any customer: shares of the value are empty")
    science: list[ReportSection] = []
    if backtest is not None:
        science.append(build_accuracy_section(backtest, writing))
    if model is not None:
        if model.registered is not None and model.registered.caveat is not None:
            remarks.append(model.registered.caveat)
        remarks += _compare_model(model, content, base.config)
        if model.version == content.model_version:
            science.append(build_model_section(model, writing))
    business = [
        build_value_section(content, writing),
        build_risk_section(content, writing),
        build_lever_section(content, writing),
        build_action_section(content, writing, with_ids=with_ids),
    ]
    if previous is not None:
        own_model = model if model is not None and model.version == content.model_version else None
        before = _read_previous(previous, base, remarks)
        since = dates.format_instant(int(before.rows["cutoff"][0].cast(pa.int64()).as_py()))
        change = _compare(before, base, own_model, remarks)
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
        remarks=tuple(dict.fromkeys(remarks)),
    )


def evaluation_report(
    evaluation: Evaluation, config: Config, orders: Orders | None = None
) -> Report:
    """The report of a backtest: the part for data scientists."""
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


def _read_previous(previous: ForecastSource, base: CustomerBase, remarks: list[str]) -> Forecasts:
    """The earlier forecasts; raises `OrdersError` for those of another span, horizon or currency.

    Another margin is a step of its own in the change, and is named.
    """
    before = read_forecasts(previous)
    remarks += check_terms(
        ("the previous forecast", before.terms),
        ("this forecast", base.terms),
        ("economics.margin_rate",),
    )
    return before


def _compare(
    before: Forecasts, base: CustomerBase, model: TrainedModel | None, remarks: list[str]
) -> Comparison:
    """Compare two forecasts, with their model and orders where these reproduce them."""
    # imports LightGBM, which takes seconds that most reports do not need
    from ...evaluation.comparison import compare

    left, right = before.rows, base.terms.carried_by(base.forecasts)
    old_model = left["model_version"][0].as_py()
    if old_model != right["model_version"][0].as_py():
        remarks.append(
            f"the previous forecasts were made by another model, {old_model}: part of the change "
            "comes from the model"
        )
    if model is not None:
        try:
            return compare(left, right, model, base.orders)
        except OrdersError as error:
            remarks.append(f"the change is split by the files and orders only: {error}")
    return compare(left, right, orders=base.orders)


def _compare_model(model: TrainedModel, content: ReportData, config: Config) -> list[str]:
    """Remarks on differences between a model and the forecasts."""
    remarks = []
    if model.version != content.model_version:
        remarks.append(
            f"the forecasts were made by model {content.model_version}, got model {model.version}: "
            "its features are left out; give the model that made the forecasts"
        )
    model_currency, config_currency = model.orders.currency, config.orders.currency
    if model_currency and config_currency and model_currency != config_currency:
        remarks.append(
            f"the model learned from amounts in {model_currency}, the configuration says "
            f"{config_currency}: amounts are shown as {config_currency} and not converted; set "
            "orders.currency to the orders' currency"
        )
    return remarks
