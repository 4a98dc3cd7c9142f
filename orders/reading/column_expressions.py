"""Arithmetic over columns, as a mapping may state it: `Quantity * UnitPrice`.

Names, numbers, + - * /, parentheses, `or`, which gives a blank cell a value, abs() and sign(); a
name may hold spaces and other characters where the file has such a column, or stands in backquotes.
The grammar:

    choice  = sum ("or" sum)*
    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = "-" factor | ("abs" | "sign")? "(" choice ")" | number | name
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError, quote

__all__ = ["Expression", "parse_expression"]

Column = npt.NDArray[np.float64]
_Evaluate = Callable[[Mapping[str, Column]], Any]
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"abs": np.abs, "sign": np.sign}
_MAX_LENGTH = 250  # keeps the recursion of nested parentheses shallow
_TOKEN = re.compile(
    r"(?P<number>\d+\.?\d*|\.\d+)|`(?P<quoted>[^`]+)`|(?P<or>or)\b"
    r"|(?P<name>[^\W\d]\w*(?: +(?!or\b)\w+)*)|(?P<sign>[-+*/()])"
)


@dataclass(frozen=True)
class Expression:
    """A parsed mapping: the columns it needs, and its value given them."""

    text: str
    columns: tuple[str, ...]
    _evaluate: _Evaluate
    is_joined: bool = False  # the texts of several columns, one after the other

    @property
    def name(self) -> str:
        """The column that has the values: the only one, or the one that joins them."""
        return self.text if self.is_joined else self.columns[0]

    @property
    def is_arithmetic(self) -> bool:
        """False for bare column names, whose values may be text."""
        return not self.is_joined and self.columns != (self.text,)

    def evaluate(self, columns: Mapping[str, Column]) -> Column:
        """The value per line; division by zero gives inf or NaN, which the reader rejects."""
        with np.errstate(all="ignore"):
            return np.asarray(self._evaluate(columns), dtype=np.float64)


def parse_expression(wanted: str | Sequence[str], known: list[str]) -> Expression:
    """Parse a mapping; text that is the exact name of a `known` column is that column.

    >>> parse_expression("Quantity * (Unit Price - 1)", ["Quantity", "Unit Price"]).columns
    ('Quantity', 'Unit Price')
    >>> parse_expression(["Date", "Time"], ["Date", "Time"]).text
    'Date, Time'
    """
    if not isinstance(wanted, str):
        if len(wanted) == 1:
            return parse_expression(f"`{wanted[0]}`", known)
        names = tuple(wanted)
        return Expression(", ".join(names), names, lambda columns: np.nan, is_joined=True)
    text = wanted
    if text in known:
        return Expression(text, (text,), lambda columns: columns[text])
    if len(text) > _MAX_LENGTH:
        raise ConfigError(f"a column mapping has at most {_MAX_LENGTH} characters, got {len(text)}")
    parser = _Parser(text, known)
    evaluate = parser.choice()
    parser.expect_end()
    if parser.names and text.strip() == f"`{parser.names[0]}`":
        return parse_expression(parser.names[0], [parser.names[0]])
    return Expression(text, tuple(dict.fromkeys(parser.names)), evaluate)


class _Parser:
    def __init__(self, text: str, known: list[str]) -> None:
        self.text, self.position, self.names = text, 0, list[str]()
        self.known = sorted((name for name in known if name.strip()), key=len, reverse=True)
        self.number, self.name, self.sign = "", "", ""
        self.is_sum = False  # whether what was read last is arithmetic without parentheses
        self.advance()

    def advance(self) -> None:
        """Step to the next token; at the end all three kinds are empty."""
        self.number = self.name = self.sign = ""
        rest = self.text[self.position :].lstrip()
        self.position = len(self.text) - len(rest)
        if not rest:
            return
        self.name = self._known_name(rest)
        if self.name:
            self.position += len(self.name)
            return
        match = _TOKEN.match(rest)
        if match is None:
            self.fail(f"{quote(rest[0])} is not allowed")
        self.number, self.sign = match["number"] or "", match["sign"] or match["or"] or ""
        self.name = match["quoted"] or match["name"] or ""
        self.position += match.end()

    def _known_name(self, rest: str) -> str:
        """The longest column of the file that the text goes on with, such as `Unit Price`."""
        for name in self.known:
            if rest.startswith(name) and not re.fullmatch(r"[\d.]+|or|[-+*/()]", name):
                after = rest[len(name) : len(name) + 1]
                if not (re.match(r"\w", name[-1]) and re.match(r"\w", after)):
                    return name
        return ""

    def fail(self, why: str) -> NoReturn:
        raise ConfigError(
            "a column mapping is a name or arithmetic with + - * / ( ), `or`, abs() and sign() "
            f"(names with other characters in `backquotes`), got {quote(self.text)}: {why}"
        )

    def expect_end(self) -> None:
        if self.number or self.name or self.sign:
            self.fail(f"{quote(self.number or self.name or self.sign)} is not expected there")

    def choice(self) -> _Evaluate:
        left = self.sum()
        while self.sign == "or":
            if self.is_sum:  # `a - r or 0` would be 0 wherever r is blank
                self.fail("what `or` belongs to must stand in parentheses, such as a - (r or 0)")
            left = self.fallback(left)
        return left

    def fallback(self, left: _Evaluate) -> _Evaluate:
        self.advance()
        right = self.sum()

        def evaluate(columns: Mapping[str, Column]) -> Any:
            value = np.asarray(left(columns))
            return np.where(np.isnan(value), right(columns), value)

        return evaluate

    def sum(self) -> _Evaluate:
        left = self.product()
        while self.sign in ("+", "-"):
            left = self.operation(left, self.product)
        return left

    def product(self) -> _Evaluate:
        left = self.factor()
        while self.sign in ("*", "/"):
            left = self.operation(left, self.factor)
        return left

    def operation(self, left: _Evaluate, operand: Callable[[], _Evaluate]) -> _Evaluate:
        operator = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[self.sign]
        self.advance()
        right = operand()
        self.is_sum = True
        return lambda columns: operator(left(columns), right(columns))

    def factor(self) -> _Evaluate:
        value = self.single()
        self.is_sum = False
        return value

    def single(self) -> _Evaluate:
        if self.sign == "-":
            self.advance()
            inner = self.factor()
            return lambda columns: np.negative(inner(columns))
        if self.sign == "(":
            return self.parentheses()
        number, name = self.number, self.name
        if number:
            self.advance()
            return lambda columns: float(number)
        if name:
            self.advance()
            if name in _FUNCTIONS and name not in self.known and self.sign == "(":
                function, argument = _FUNCTIONS[name], self.parentheses()
                return lambda columns: function(argument(columns))
            self.names.append(name)
            return lambda columns: columns[name]
        self.fail(
            "it ends too early" if not self.sign else f"{quote(self.sign)} is not expected there"
        )

    def parentheses(self) -> _Evaluate:
        self.advance()
        inner = self.choice()
        if self.sign != ")":
            self.fail("a closing parenthesis is missing")
        self.advance()
        return inner
