"""The calendar of known events: on which days each of them is, past and future.

Dates are known ahead, orders are not: a window's share of days under an event may be used for
windows that begin at a cutoff, and nothing else of the future is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import ConfigError
from .columns import Float64, Int64
from .dates import DAY
from .plain_files import refuse_special_file

__all__ = ["Calendar", "build_calendar", "load_calendar"]

_MOST_EVENTS = 50
_NAME = re.compile(r"[^0-9a-z]+")


@dataclass(frozen=True)
class Calendar:
    """Events by name, and the windows whose shares are wanted; without periods, none are."""

    days: Mapping[str, Int64]  # ascending days since 1970, of each event
    horizon_days: int = 0
    periods: int = 0

    def with_windows(self, horizon_days: int, periods: int) -> Calendar:
        """The calendar for the window before a cutoff and `periods` windows after it."""
        return replace(self, horizon_days=horizon_days, periods=periods)

    def compute_shares(self, cutoffs: Int64) -> Float64:
        """Shares of windows' days: n_cutoffs x n_events x (periods + 1); first the window before.

        A day that has begun at a cutoff counts to the window before it.
        """
        ends = cutoffs[:, None] + np.arange(-1, self.periods + 1) * (self.horizon_days * DAY)
        bounds = -(-ends // DAY)
        day_counts = [
            np.diff(np.searchsorted(event_days, bounds), axis=1)
            for event_days in self.days.values()
        ]
        return np.stack(day_counts, axis=1) / self.horizon_days

    def to_dates(self) -> dict[str, tuple[str, ...]]:
        """ISO dates by event, as a bundle keeps them."""
        return {
            name: tuple(np.datetime_as_string(event_days.astype("datetime64[D]")).tolist())
            for name, event_days in self.days.items()
        }


def build_calendar(dates_by_event: Mapping[str, tuple[str, ...]]) -> Calendar:
    """The calendar of ISO dates by event."""
    days_by_event = {}
    for name in sorted(dates_by_event):
        days = np.array(dates_by_event[name], dtype="datetime64[D]").astype(np.int64)
        days_by_event[name] = np.unique(days)
    return Calendar(days_by_event)


def load_calendar(path: str) -> Calendar:
    """Events from a CSV file with the columns date and event; raises `ConfigError`.

    Names are in lower case with _ for all else than letters and digits. One row is one day.
    """
    try:
        refuse_special_file(Path(path))
        table = pd.read_csv(Path(path), dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ConfigError(f"calendar {path} cannot be read: {error}") from None
    table.columns = [str(name).strip().lower() for name in table.columns]
    if not {"date", "event"} <= set(table.columns):
        raise ConfigError(
            f"calendar {path} must have the columns date and event, got {', '.join(table.columns)}"
        )
    days = pd.to_datetime(table["date"].str.strip(), format="%Y-%m-%d", errors="coerce")
    names = table["event"].fillna("").str.strip().str.lower()
    names = names.map(lambda name: _NAME.sub("_", name).strip("_"))
    wrong = (days.isna() | (names == "")).to_numpy()
    if not len(table):
        raise ConfigError(f"calendar {path} must name at least one day, got no row")
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        got = table.iloc[row - 1][["date", "event"]].tolist()
        raise ConfigError(
            f"calendar {path} must have an ISO date and an event in each row, got {got} in row "
            f"{row}"
        )
    if names.nunique() > _MOST_EVENTS:
        raise ConfigError(
            f"calendar {path} must name at most {_MOST_EVENTS} events, got {names.nunique()}; give "
            "days of the same kind one name"
        )
    text = days.dt.strftime("%Y-%m-%d")
    return build_calendar(
        {str(n): tuple(event_dates) for n, event_dates in text.groupby(names.to_numpy())}
    )
