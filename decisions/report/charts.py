"""Figures: plotly drawings of computed numbers."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .colours import ACCENT, FAINT, GREY, INK, MUTED, PAPER, RULE, SOFT, STRONG
from .number_format import NumberFormat

__all__ = [
    "draw_bars",
    "draw_calibration",
    "draw_columns",
    "draw_comparison",
    "draw_curves",
    "draw_grid",
    "draw_grouped",
    "draw_stacked",
    "draw_steps",
]

Values = Sequence[float]
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
_ROW = 30  # pixels of a bar and its gap
_MAX_LETTERS = 30


def _format_label(text: object) -> str:
    """A label for plotly: without markup, cut to the width of a margin."""
    label = str(text)
    if len(label) > _MAX_LETTERS:
        label = label[: _MAX_LETTERS - 1] + "…"
    return html.escape(label, quote=False)


def draw_bars(
    names: Sequence[str],
    values: Values,
    writing: NumberFormat,
    unit: str,
    *,
    bounds: tuple[Values, Values] | None = None,
    texts: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
) -> go.Figure:
    """Horizontal bars, first on top; a thin line is the interval."""
    labels = list(map(_format_label, names))
    figure = _create_figure(writing, 70 + _ROW * len(names), bargap=0.35, showlegend=False)
    known_values = _drop_unknown(values)
    figure.add_bar(
        x=known_values,
        y=list(range(len(labels))),
        orientation="h",
        marker_color=list(colours) if colours else ACCENT,
        error_x=_build_error_bars(known_values, bounds),
        text=list(texts) if texts and bounds is None else None,
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{name}: {text}" for name, text in zip(labels, texts or labels, strict=True)],
        hoverinfo="text",
    )
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        autorange="reversed",
        showgrid=False,
        zeroline=False,  # it would cross the first bar
    )
    figure.update_xaxes(title_text=unit, rangemode="tozero")
    longest = max((value for value in known_values if value is not None), default=0.0)
    if bounds is None and texts and longest > 0:
        figure.update_xaxes(range=[0, 1.15 * longest])  # room for the texts
    return figure


def draw_columns(
    names: Sequence[str],
    values: Values,
    writing: NumberFormat,
    unit: str,
    *,
    over: str = "",
    bounds: tuple[Values, Values] | None = None,
    highlight: int | None = None,
    texts: Sequence[str] | None = None,
    height: int = 320,
    share: bool = False,
    dates: bool = False,
) -> go.Figure:
    """Vertical bars; one may be highlighted. With `dates`, names are 2011-03 or 2011-03-15."""
    figure = _create_figure(writing, height, bargap=0.3, showlegend=False)
    known_values = _drop_unknown(values)
    colours = [ACCENT] * len(names)
    if highlight is not None:
        colours = [ACCENT if k == highlight % len(names) else SOFT for k in range(len(names))]
    figure.add_bar(
        x=[f"{name}-01"[:10] for name in names] if dates else list(map(_format_label, names)),
        y=known_values,
        marker_color=colours,
        error_y=_build_error_bars(known_values, bounds),
        text=list(texts) if texts else None,
        textposition="outside",
        cliponaxis=False,
        hovertext=[
            f"{_format_label(name)}: {text}"
            for name, text in zip(names, texts or names, strict=True)
        ],
        hoverinfo="text",
    )
    figure.update_xaxes(type="category", title_text=over, showgrid=False)
    if dates:
        step = max(1, -(-len(names) // 8))  # at most eight ticks
        ticks = [f"{name}-01"[:10] for name in names][::step]
        form = "%b<br>%Y" if len(names[0]) == len("2011-03") else "%-d %b<br>%Y"
        figure.update_xaxes(type="date", tickformat=form, tickvals=ticks)
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    if share:
        figure.update_yaxes(tickformat=".0%")
    return figure


def draw_grouped(
    names: Sequence[str], series: Mapping[str, Values], writing: NumberFormat, unit: str
) -> go.Figure:
    """Horizontal bars side by side: shares of different totals."""
    labels = list(map(_format_label, names))
    figure = _create_figure(writing, 110 + 2 * _ROW * len(names), barmode="group", bargap=0.35)
    for (name, values), colour in zip(series.items(), (GREY, ACCENT), strict=True):
        figure.add_bar(
            x=_drop_unknown(values),
            y=labels,
            name=name,
            orientation="h",
            marker_color=colour,
            text=[writing.share(value) for value in values],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="text",
        )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(title_text=unit, rangemode="tozero", tickformat=".0%", range=[0, 1.08])
    return figure


def draw_stacked(
    names: Sequence[str], series: Mapping[str, Values], writing: NumberFormat, unit: str
) -> go.Figure:
    """Stacked horizontal bars, the last part in the strongest colour."""
    figure = _create_figure(writing, 120 + 44 * len(names), barmode="stack", bargap=0.35)
    for (name, values), colour in zip(series.items(), (FAINT, SOFT, STRONG), strict=True):
        figure.add_bar(
            x=_drop_unknown(values),
            y=list(map(_format_label, names)),
            name=name,
            orientation="h",
            marker={"color": colour, "line": {"color": GREY, "width": 0.5}},
            hovertext=[f"{name}: {writing.money(value)}" for value in values],
            hoverinfo="text",
        )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(title_text=unit, rangemode="tozero")
    figure.update_layout(legend_traceorder="normal")
    return figure


def draw_grid(
    rows: Sequence[str],
    names: Sequence[str],
    values: Sequence[Values],
    texts: Sequence[Sequence[str]],
    writing: NumberFormat,
    over: tuple[str, str],
) -> go.Figure:
    """A heatmap with a text per cell; unknown cells are empty."""
    figure = _create_figure(writing, 110 + 27 * len(rows), showlegend=False)
    figure.add_heatmap(
        z=[_drop_unknown(row) for row in values],
        x=list(map(_format_label, names)),
        y=list(map(_format_label, rows)),
        text=[list(row) for row in texts],
        texttemplate="%{text}",
        textfont_size=11,
        hoverinfo="y+x+text",
        xgap=1,
        ygap=1,
        zmin=0,
        colorscale=[[0, FAINT], [1, SOFT]],
        showscale=False,
    )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, title_text=over[0])
    figure.update_xaxes(type="category", showgrid=False, title_text=over[1], side="bottom")
    return figure


def draw_steps(names: Sequence[str], values: Values, writing: NumberFormat, unit: str) -> go.Figure:
    """A waterfall from the first total, by changes, to the last."""
    figure = _create_figure(writing, 80 + 38 * len(names), showlegend=False)
    labels = list(map(_format_label, names))
    figure.add_waterfall(
        y=list(range(len(names))),
        x=list(values),
        measure=["absolute", *["relative"] * (len(values) - 2), "total"],
        orientation="h",
        cliponaxis=False,
        text=[writing.brief(value) for value in values],
        textposition="outside",
        increasing_marker_color=ACCENT,
        decreasing_marker_color=STRONG,
        totals_marker_color=GREY,
        connector_line_color=RULE,
        hoverinfo="text",
        hovertext=[f"{label}: {writing.money(v)}" for label, v in zip(labels, values, strict=True)],
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=labels,
        autorange="reversed",
        showgrid=False,
        zeroline=False,
    )
    reached = [values[0], values[-1], *np.cumsum(values[:-1])]
    figure.update_xaxes(title_text=unit, range=[min(0, *reached), 1.15 * max(0, *reached, 1e-9)])
    return figure


def draw_comparison(
    names: Sequence[str],
    forecast: Values,
    actual: Values,
    writing: NumberFormat,
    unit: str,
    over: str,
) -> go.Figure:
    """Forecast and outcome per group, on a logarithmic scale: values of 0 or less are omitted."""
    figure = _create_figure(writing, 340)
    for name, values, colour, symbol in (
        ("forecast", forecast, ACCENT, "circle"),
        ("outcome", actual, STRONG, "diamond-open"),
    ):
        figure.add_scatter(
            x=list(names),
            y=[v if v is not None and v > 0 else None for v in _drop_unknown(values)],
            name=name,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2}},
            hovertext=[f"{name}: {writing.money(v)}" for v in values],
            hoverinfo="text",
        )
    figure.update_yaxes(title_text=unit, type="log", dtick=1, tickformat=",")
    figure.update_xaxes(title_text=over, type="category", showgrid=False)
    return figure


def draw_curves(
    x: Values, series: Mapping[str, Values], writing: NumberFormat, units: tuple[str, str]
) -> go.Figure:
    """Lines of shares over shares, the first one highlighted."""
    figure = _create_figure(writing, 360)
    dashes = ("dash", "dot", "dashdot", "longdash", "longdashdot")
    for k, (name, values) in reversed(list(enumerate(series.items()))):
        colour, dash = GREY if k % 2 else MUTED, dashes[(k - 1) % len(dashes)]
        line: dict[str, Any] = {"color": colour, "width": 1.5, "dash": dash}
        if k == 0:
            line = {"color": ACCENT, "width": 3}
        figure.add_scatter(x=list(x), y=_drop_unknown(values), name=name, mode="lines", line=line)
    figure.update_layout(legend_traceorder="reversed")
    figure.update_xaxes(title_text=units[0], tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title_text=units[1], tickformat=".0%", range=[0, 1.02])
    return figure


def draw_calibration(forecast: Values, happened: Values, writing: NumberFormat) -> go.Figure:
    """Forecast probabilities and observed shares; on the diagonal they are equal."""
    figure = _create_figure(writing, 360, showlegend=False)
    diagonal = {"color": GREY, "width": 1, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, hoverinfo="skip")
    figure.add_scatter(
        x=_drop_unknown(forecast),
        y=_drop_unknown(happened),
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        marker={"color": ACCENT, "size": 9},
        hovertext=[
            f"forecast {writing.share(p)}, observed {writing.share(s)}"
            for p, s in zip(forecast, happened, strict=True)
        ],
        hoverinfo="text",
    )
    figure.update_xaxes(
        title_text="churn probability, forecast", tickformat=".0%", range=[-0.02, 1.02]
    )
    figure.update_yaxes(title_text="share that churned", tickformat=".0%", range=[-0.02, 1.02])
    return figure


def _create_figure(writing: NumberFormat, height: int, **more: Any) -> go.Figure:
    axis = {
        **dict.fromkeys(("gridcolor", "zerolinecolor", "linecolor"), RULE),
        "automargin": True,
        "title": {"font": {"size": 12, "color": MUTED}, "standoff": 8},
        "fixedrange": True,
        "tickfont": {"size": 12},
    }
    layout = go.Layout(
        template="none",
        height=height,
        separators=writing.separators,
        font={"family": _FONT, "size": 12, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        margin={"l": 8, "r": 28, "t": 8, "b": 8},
        xaxis=axis,
        yaxis=axis,
        hoverlabel={"bgcolor": PAPER, "font": {"color": INK}, "bordercolor": GREY},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        **more,
    )
    return go.Figure(layout=layout)


def _drop_unknown(values: Values) -> list[float | None]:
    return [None if v is None or not np.isfinite(v) else float(v) for v in values]


def _build_error_bars(
    values: Sequence[float | None], bounds: tuple[Values, Values] | None
) -> dict[str, Any] | None:
    """Error bars from each value to its bounds; none where a bound is unknown."""
    if bounds is None or not np.isfinite(np.asarray(bounds, np.float64)).any():
        return None
    down, up = (
        [
            abs(value - bound) if value is not None and bound is not None else 0.0
            for value, bound in zip(values, _drop_unknown(side), strict=True)
        ]
        for side in bounds
    )
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "color": MUTED,
        "thickness": 1.2,
        "width": 3,
    }
