"""Formatted numbers: the currency, and the decimal and thousands marks of a locale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from ...configs.economics import Basis
from ...configs.report import Locale
from ...configs.schema import Config

__all__ = ["UNKNOWN", "Kind", "NumberFormat"]

Kind = Literal[  # money and cents are revenue, value has CLV's basis, amount's row says what it is
    "text", "count", "money", "cents", "value", "amount", "share", "points", "number", "ratio"
]
UNKNOWN = "–"
_NO_BREAK, _NARROW = "\u00a0", "\u202f"
# decimal mark, thousands mark, space before the percent sign (Unicode CLDR 45, latn)
_MARKS: dict[Locale, tuple[str, str, str]] = {
    "en": (".", ",", ""),
    "cs": (",", _NO_BREAK, _NO_BREAK),
    "da": (",", ".", _NO_BREAK),
    "de": (",", ".", _NO_BREAK),
    "de-AT": (",", _NO_BREAK, _NO_BREAK),
    "de-CH": (".", "’", ""),
    "es": (",", ".", _NO_BREAK),
    "fi": (",", _NO_BREAK, _NO_BREAK),
    "fr": (",", _NARROW, _NARROW),
    "it": (",", ".", ""),
    "nb": (",", _NO_BREAK, _NO_BREAK),
    "nl": (",", ".", ""),
    "pl": (",", _NO_BREAK, ""),
    "pt": (",", _NO_BREAK, ""),
    "pt-BR": (",", ".", ""),
    "sv": (",", _NO_BREAK, _NO_BREAK),
}
_DECIMALS: dict[Kind, int] = {"cents": 2, "points": 2, "ratio": 3, "number": 1}
_SHORT = ((1e9, "billion"), (1e6, "million"))
_BRIEF = ((1e9, "bn", 2), (1e6, "M", 2), (1e3, "k", 0))


@dataclass(frozen=True)
class NumberFormat:
    """The number format of a shop's report; unknown values are dashes.

    >>> NumberFormat("GBP").money(11_730_485.6), NumberFormat("EUR", "de").money(618_300.4)
    ('11.73 million GBP', '618.300 EUR')
    """

    currency: str = ""
    locale: Locale = "en"
    basis: Basis = "revenue"  # what CLV is

    @classmethod
    def of(cls, config: Config, basis: Basis = "revenue") -> Self:
        """The format of a configuration, for CLV of a basis."""
        return cls(config.orders.currency, config.report.locale, basis)

    @property
    def separators(self) -> str:
        """The decimal and the thousands mark, for plotly."""
        decimal, thousands, _ = _MARKS[self.locale]
        return decimal + thousands

    @property
    def money_unit(self) -> str:
        """The unit of an axis of revenue."""
        return f"revenue, {self.currency}" if self.currency else "revenue"

    @property
    def value_unit(self) -> str:
        """The unit of an axis of CLV: revenue, margin or contribution, and the currency."""
        return f"{self.basis}, {self.currency}" if self.currency else self.basis

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with the locale's marks."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        decimal, thousands, _ = _MARKS[self.locale]
        plain = f"{value:,.{decimals}f}"
        if float(plain.replace(",", "")) == 0:
            plain = plain.lstrip("-")
        return plain.translate({ord(","): thousands, ord("."): decimal})

    def count(self, value: float, noun: str = "") -> str:
        """A whole number, with its noun in singular or plural."""
        if not noun:
            return self.number(value)
        return f"{self.number(value)} {noun}" + ("" if value == 1 else "s")

    def money(self, value: float) -> str:
        """An amount in a sentence: three or four significant digits, and the currency."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        for size, word in _SHORT:
            if abs(value) >= size:
                return f"{self.number(value / size, 2)} {word} {self.currency}".rstrip()
        return f"{self.number(value)} {self.currency}".rstrip()

    def brief(self, value: float) -> str:
        """An amount beside a bar, whose axis names the currency: `5.31 M`, `618 k`, `4,200`."""
        for size, letter, decimals in _BRIEF:
            if math.isfinite(value) and abs(value) >= max(size, 1e4):
                return f"{self.number(value / size, decimals)}{_NO_BREAK}{letter}"
        return self.number(value)

    def money_range(self, lower: float, upper: float) -> str:
        """From one amount to another, with one unit if both have the same.

        >>> pounds = NumberFormat("GBP")
        >>> pounds.money_range(6.47e6, 21.27e6), pounds.money_range(9e5, 2e6)
        ('6.47 to 21.27 million GBP', '900,000 to 2.00 million GBP')
        """
        low, high = self.money(lower), self.money(upper)
        if low.partition(" ")[2] == high.partition(" ")[2]:
            low = low.partition(" ")[0]
        return f"{low.removesuffix(f' {self.currency}')} to {high}"

    def share(self, value: float, decimals: int = 0) -> str:
        """A share of one as a percentage."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        if decimals == 0 and 0 < value < 0.005:
            return "under " + self.share(0.01)
        return f"{self.number(100 * value, decimals)}{_MARKS[self.locale][2]}%"

    def cell(self, value: object, kind: Kind) -> str:
        """A value in a table; its unit is in the heading."""
        if value is None:
            return UNKNOWN
        if not isinstance(value, int | float):
            return str(value)
        if kind == "share":
            return self.share(value, 1)
        return self.number(value, _DECIMALS.get(kind, 0))
