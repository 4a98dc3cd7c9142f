"""Exchange rates: amounts of several currencies in one, by the day of their line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import OrdersError
from ..columns import Float64, Int64
from ..dates import DAY
from ..plain_files import refuse_special_file

__all__ = ["ExchangeRates", "load_exchange_rates"]


@dataclass(frozen=True)
class ExchangeRates:
    """Units of the shop's currency for one unit of another, per day."""

    base: str
    rates: Mapping[str, pd.Series[float]]  # currency -> rate by day since 1970

    def look_up(self, currencies: list[str], codes: Int64, times: Int64) -> Float64:
        """The rate of each line, NaN where the file has none; 1 for the shop's own currency.

        `codes` say which of `currencies` a line is in, -1 for none.
        """
        line_rates = np.full(len(times), np.nan)
        days = times // DAY
        for code, currency in enumerate(currencies):
            in_currency = codes == code
            if currency == self.base:
                line_rates[in_currency] = 1.0
            elif currency in self.rates:
                line_rates[in_currency] = self.rates[currency].reindex(days[in_currency]).to_numpy()
        return line_rates


def load_exchange_rates(path: str, base: str) -> ExchangeRates:
    """Rates from a CSV file with the columns date, currency and rate; raises `OrdersError`."""
    try:
        refuse_special_file(Path(path))
        table = pd.read_csv(Path(path), dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise OrdersError(f"orders.exchange_rates {path} cannot be read: {error}") from None
    table.columns = [str(name).strip().lower() for name in table.columns]
    if not {"date", "currency", "rate"} <= set(table.columns):
        raise OrdersError(
            f"{path} must have the columns date, currency and rate, got {', '.join(table.columns)}"
        )
    days = pd.to_datetime(table["date"], format="%Y-%m-%d", errors="coerce")
    rates = pd.to_numeric(table["rate"], errors="coerce")
    currencies = table["currency"].str.strip().str.upper()
    wrong = days.isna() | ~(np.isfinite(rates) & (rates > 0)) | currencies.isna()
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy())) + 1
        raise OrdersError(
            f"{path} must have an ISO date, a currency and a rate above 0 in each row, got "
            f"{table.iloc[row - 1][['date', 'currency', 'rate']].tolist()} in row {row}"
        )
    day = days.to_numpy().astype("datetime64[D]").astype(np.int64)
    twice = pd.MultiIndex.from_arrays([currencies, day]).duplicated()
    if twice.any():
        row = int(np.argmax(twice)) + 1
        raise OrdersError(f"{path} must have one rate per currency and day, got two in row {row}")
    by_day = pd.Series(rates.to_numpy(dtype=np.float64), index=day)
    groups = by_day.groupby(currencies.to_numpy())
    return ExchangeRates(
        base.strip().upper(), {str(name): daily_rates for name, daily_rates in groups}
    )
