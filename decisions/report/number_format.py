"""Numbers as people read them: the currency, and the decimal and thousands marks of a locale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from ...configs.report import Locale
from ...configs.schema import Config

__all__ = ["UNKNOWN", "Kind", "NumberFormat"]

Kind = Literal["text", "count", "money", "cents", "share", "points", "number", "ratio"]
UNKNOWN = "–"
_NO_BREAK, _NARROW = "\u00a0", "\u202f"
# decimal mark, thousands mark, what stands before the per cent sign (Unicode CLDR 45, latn)
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
_SHORT = ((1e9, "billion"), (1e6, "million"))
_BRIEF = ((1e9, "bn", 2), (1e6, "M", 2), (1e3, "k", 0))


@dataclass(frozen=True)
class NumberFormat:
    """How a shop's report writes numbers; what is not known is a dash.

    >>> NumberFormat("GBP").money(11_730_485.6), NumberFormat("EUR", "de").money(618_300.4)
    ('11.73 million GBP', '618.300 EUR')
    """

    currency: str = ""
    locale: Locale = "en"

    @classmethod
    def of(cls, config: Config) -> Self:
        """As the configuration says."""
        return cls(config.orders.currency, config.report.locale)

    @property
    def separators(self) -> str:
        """The decimal and the thousands mark, as plotly takes them."""
        decimal, thousands, _ = _MARKS[self.locale]
        return decimal + thousands

    @property
    def money_unit(self) -> str:
        """What an axis of money is in."""
        return self.currency or "money"

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
        """A whole number, with its noun in the right number."""
        if not noun:
            return self.number(value)
        return f"{self.number(value)} {noun}" + ("" if value == 1 else "s")

    def money(self, value: float) -> str:
        """An amount within a sentence: three or four digits that matter, and the currency."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        for size, word in _SHORT:
            if abs(value) >= size:
                return f"{self.number(value / size, 2)} {word} {self.currency}".rstrip()
        return f"{self.number(value)} {self.currency}".rstrip()

    def brief(self, value: float) -> str:
        """An amount beside a bar, whose axis names the currency: `5.31 M`, `618 k`, `4,200`."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        if abs(value) < 1e4:
            return self.number(value)
        for size, letter, decimals in _BRIEF:
            if abs(value) >= size:
                return f"{self.number(value / size, decimals)}{_NO_BREAK}{letter}"
        return self.number(value)

    def money_range(self, lower: float, upper: float) -> str:
        """From one amount to another, the unit said once where it is the same.

        >>> NumberFormat("GBP").money_range(6.47e6, 21.27e6), NumberFormat("GBP").money_range(9e5, 2e6)
        ('6.47 to 21.27 million GBP', '900,000 to 2.00 million GBP')
        """
        low, high = self.money(lower), self.money(upper)
        for unit in (*(f" {word} {self.currency}" for _, word in _SHORT), f" {self.currency}"):
            if low.endswith(unit.rstrip()) and high.endswith(unit.rstrip()):
                return f"{low.removesuffix(unit.rstrip())} to {high}"
        return f"{low} to {high}"

    def share(self, value: float, decimals: int = 0) -> str:
        """A share of one as a percentage."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        if decimals == 0 and 0 < value < 0.005:
            return "under " + self.share(0.01)
        return f"{self.number(100 * value, decimals)}{_MARKS[self.locale][2]}%"

    def cell(self, value: object, kind: Kind) -> str:
        """A value as a table shows it; its unit stands in the heading."""
        if value is None:
            return UNKNOWN
        if not isinstance(value, int | float):
            return str(value)
        match kind:
            case "share":
                return self.share(value, 1)
            case "cents" | "points":
                return self.number(value, 2)
            case "ratio":
                return self.number(value, 3)
            case "number":
                return self.number(value, 1)
            case _:
                return self.number(value)
