"""Effects of events, learned from the number of orders per day.

A day under an event is compared with days of the same weekday within five weeks that are under
none. All events are fitted together (Poisson regression, with the scatter of ordinary days as its
noise), each shrunk towards no effect, so that an event seen once on a quiet day moves little.
"""

from __future__ import annotations

import numpy as np

from ..models.event_effects import EventEffects
from ..orders.calendar import Calendar
from ..orders.columns import Float64, Int64, Mask
from ..orders.dates import DAY
from ..orders.order_table import build_order_table
from ..orders.orders import Orders
from ..orders.windows import slice_observed

__all__ = ["count_daily_orders", "estimate_event_effects", "fit_event_effects"]

_PRIOR_DEVIATION = 0.5  # of an effect, in logs: half to twice the orders is no surprise
_WEEKS_AROUND = 5
_STEPS = 25
_LARGEST_STEP = 0.5


def estimate_event_effects(orders: Orders, calendar: Calendar, end: int) -> EventEffects:
    """What the orders before `end` tell of each event; one without an observed day has none."""
    first, counts = count_daily_orders(slice_observed(orders, end), end)
    days = first + np.arange(len(counts))
    under = np.array([np.isin(days, event_days) for event_days in calendar.days.values()]).T
    return EventEffects(
        names=tuple(calendar.days),
        effects=tuple(fit_event_effects(counts, under).tolist()),
        usual_shares=tuple(under.mean(axis=0).tolist()),
    )


def count_daily_orders(known: Orders, end: int) -> tuple[int, Float64]:
    """The day (since 1970) of the first order, and orders per day from then to `end`."""
    table = build_order_table(known, end)
    days = table.times[table.is_order] // DAY
    first = int(days.min())
    counts = np.bincount(days - first, minlength=max(end // DAY - first, 1))
    return first, counts.astype(np.float64)


def fit_event_effects(counts: Float64, under: Mask) -> Float64:
    """Log effects of events (n_days x n_events: which days are under them) on daily counts."""
    n_events = under.shape[1]
    usual = _expect_without_events(counts, np.asarray(under.any(axis=1)))
    has_usual = usual > 0
    inputs, expected, actual = (
        under[has_usual].astype(np.float64),
        usual[has_usual],
        counts[has_usual],
    )
    plain = ~under[has_usual].any(axis=1)
    scatter = (actual[plain] - expected[plain]) ** 2 / expected[plain]
    noise = max(float(scatter.mean()), 1.0) if plain.any() else 1.0
    effects = np.zeros(n_events)
    prior = 1.0 / _PRIOR_DEVIATION**2
    for _ in range(_STEPS):
        mean = expected * np.exp(inputs @ effects)
        slope = inputs.T @ (actual - mean) / noise - prior * effects
        curve = (inputs * (mean / noise)[:, None]).T @ inputs + prior * np.eye(n_events)
        effects = effects + np.clip(np.linalg.solve(curve, slope), -_LARGEST_STEP, _LARGEST_STEP)
    return effects


def _expect_without_events(counts: Float64, is_event: Mask) -> Float64:
    """Per day, the mean count of the same weekday within five weeks, event days left out; else 0.

    The day itself is left out too.
    """
    offsets: Int64 = np.concatenate(
        [7 * np.arange(-_WEEKS_AROUND, 0), 7 * np.arange(1, _WEEKS_AROUND + 1)]
    )
    places = np.arange(len(counts))[:, None] + offsets
    inside = (places >= 0) & (places < len(counts))
    places = np.clip(places, 0, len(counts) - 1)
    usable = inside & ~is_event[places]
    total = np.where(usable, counts[places], 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(usable.sum(axis=1), 1))
