"""Charts as plotly figures, drawn from the frames of `clvcast.tables` in the report's style.

Every function returns a figure: `figure.show()` in a notebook, `figure.write_html(...)` anywhere.
`currency` labels the axes of money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from . import tables
from .configs.schema import Config
from .decisions.customer_base import ForecastSource
from .decisions.report import charts, colours
from .decisions.report.number_format import NumberFormat
from .evaluation.backtest_frames import Evaluation
from .models.model import TrainedModel
from .orders.dates import Instant
from .orders.reading.read_orders import OrdersSource

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "calibration",
    "cohorts",
    "deciles",
    "dependence",
    "expected_orders",
    "forecast",
    "importance",
    "intervals",
    "lift",
    "probability_alive",
    "rfm",
    "season",
]

_MOST_FEATURES = 15
_TITLE = 36  # heights above the plot: of a title, of a legend in two rows
_LEGEND = 44


def _add_title(figure: go.Figure, title: str) -> go.Figure:
    """A title above the legend; the figures of the report have none."""
    text = {"text": title, "x": 0.01, "yref": "container", "y": 1, "yanchor": "top"}
    space = _TITLE if figure.layout.showlegend is False else _TITLE + _LEGEND
    height = (figure.layout.height or 450) + space
    margin = {"t": (figure.layout.margin.t or 8) + space}
    return figure.update_layout(title={**text, "pad": {"t": 12}}, height=height, margin=margin)


def calibration(backtest: Evaluation) -> go.Figure:
    """Draw observed churn against churn probability; the diagonal is perfect."""
    frame = tables.calibration(backtest)
    figure = charts.draw_calibration(
        frame["churn_probability"].tolist(), frame["churned"].tolist(), NumberFormat()
    )
    return _add_title(figure, "Churn: probability and outcome")


def lift(backtest: Evaluation) -> go.Figure:
    """Draw the share of spend that the best customers by forecast hold, by method."""
    frame = tables.lift(backtest)
    curves = {name: frame[name].tolist() for name in frame.columns.drop("customers")}
    units = ("share of customers, highest forecast first", "share of spend")
    figure = charts.draw_curves(frame["customers"].tolist(), curves, NumberFormat(), units)
    return _add_title(figure, "Share of spend of the best customers by forecast")


def deciles(backtest: Evaluation, currency: str = "") -> go.Figure:
    """Draw mean forecast and outcome in ten equal groups by forecast."""
    frame, writing = tables.deciles(backtest), NumberFormat(currency)
    figure = charts.draw_comparison(
        frame["group"].astype(str).tolist(),
        frame["expected_spend"].tolist(),
        frame["actual_spend"].tolist(),
        writing,
        writing.money_unit,
        "deciles by forecast, highest first",
    )
    return _add_title(figure, "Forecast and outcome by decile")


def intervals(backtest: Evaluation) -> go.Figure:
    """Draw the share of customers within their 90 % interval, by decile of the forecast."""
    frame, writing = tables.intervals(backtest), NumberFormat()
    figure = charts.draw_columns(
        frame["group"].astype(str).tolist(),
        frame["is_covered"].tolist(),
        writing,
        "share within the interval",
        over="deciles by forecast, highest first",
        texts=[writing.share(value) for value in frame["is_covered"]],
        share=True,
    )
    return _add_title(figure, "Coverage of the 90 % intervals")


def forecast(
    forecasts: ForecastSource,
    orders: OrdersSource,
    horizon_days: int | None = None,
    currency: str = "",
) -> go.Figure:
    """Draw revenue by period, and the expected spend of known customers in the next one."""
    frame = tables.forecast(forecasts, orders, horizon_days)
    figure = charts.draw_columns(
        frame["begin"].dt.strftime("%Y-%m-%d").tolist(),
        frame["actual"].tolist(),
        NumberFormat(currency),
        NumberFormat(currency).money_unit,
        dates=True,
    )
    known = frame.dropna(subset="expected")
    figure.add_scatter(
        x=known["begin"].dt.strftime("%Y-%m-%d").tolist(),
        y=known["expected"].tolist(),
        mode="markers",
        name="expected, known customers",
        marker={"color": colours.STRONG, "size": 12, "symbol": "diamond"},
    )
    return _add_title(figure.update_layout(showlegend=True), "Revenue by period, and the forecast")


def importance(model: TrainedModel) -> go.Figure:
    """Draw the features with the largest shares of the trees' gain."""
    frame, writing = tables.importance(model).head(_MOST_FEATURES), NumberFormat()
    figure = charts.draw_bars(
        frame["feature"].tolist(),
        frame["share"].tolist(),
        writing,
        "share of gain",
        texts=[writing.share(value) for value in frame["share"]],
    )
    return _add_title(figure, "Feature importance")


def dependence(
    model: TrainedModel,
    orders: OrdersSource,
    feature: str,
    cutoff: Instant | None = None,
    measure: str = "clv",
) -> go.Figure:
    """Draw the mean of a forecast over a feature's values, in groups of customers."""
    frame = tables.dependence(model, orders, feature, cutoff)
    figure = charts.draw_columns(
        [f"{value:,.3g}" for value in frame[feature]], frame[measure].tolist(), NumberFormat(),
        f"mean {measure}", over=f"{feature}, mean of each group",
    )  # fmt: skip
    return _add_title(figure, f"{measure} by {feature}")


def season(model: TrainedModel) -> go.Figure:
    """Draw the season's factor on the total of a period, by the day of the year it begins."""
    frame = tables.season(model)
    figure = charts.draw_columns(
        frame["day_of_year"].astype(int).astype(str).tolist(),
        frame["factor"].tolist(),
        NumberFormat(),
        "factor on the total of a period",
        over="day of the year on which the period begins",
    )
    title = "Season" if len(frame) else "Season: none is known to this model"
    return _add_title(figure, title)


def cohorts(
    forecasts: ForecastSource, orders: OrdersSource, config: Config | None = None
) -> go.Figure:
    """Draw retention by cohort and age in months as a heat map."""
    frame = tables.cohorts(forecasts, orders, config)
    grid = frame[frame["is_whole"]].pivot(index="cohort", columns="age_months", values="retention")
    return _draw_matrix(grid, "Retention by cohort", "age in months", "cohort")


def rfm(forecasts: pd.DataFrame) -> go.Figure:
    """Draw CLV by RFM segment and tier as a heat map."""
    frame = tables.rfm(forecasts)
    grid = frame.pivot(index="rfm_segment", columns="tier", values="clv")
    return _draw_matrix(grid, "CLV by RFM segment and tier", "tier", "")


def probability_alive(
    model: TrainedModel | tables.OrderModel, max_frequency: int = 20, max_recency: int = 365
) -> go.Figure:
    """Draw P(alive) by frequency and recency, of a BTYD model or of a trained model's."""
    grid = tables.probability_alive(model, max_frequency, max_recency)
    return _draw_matrix(grid, "P(alive)", "frequency", "recency")


def expected_orders(
    model: TrainedModel | tables.OrderModel,
    max_frequency: int = 20,
    max_recency: int = 365,
    period: float | None = None,
) -> go.Figure:
    """Draw expected order days in the next period by frequency and recency."""
    grid = tables.expected_orders(model, max_frequency, max_recency, period)
    return _draw_matrix(grid, "Expected orders in the next period", "frequency", "recency")


def _draw_matrix(grid: pd.DataFrame, title: str, over: str, rows: str) -> go.Figure:
    import plotly.graph_objects as go

    heatmap = go.Heatmap(
        z=grid.to_numpy(dtype=float),
        x=[str(name) for name in grid.columns],
        y=[str(name) for name in grid.index],
        colorscale=[[0, colours.FAINT], [1, colours.ACCENT]],
    )
    figure = go.Figure(heatmap).update_layout(title=title, template="plotly_white")
    figure.update_xaxes(title_text=over, type="category").update_yaxes(title_text=rows)
    return figure
