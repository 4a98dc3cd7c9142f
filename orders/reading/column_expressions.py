"""Arithmetic over columns, as a mapping may state it: `Quantity * UnitPrice`.

Names, numbers, + - * / and parentheses; a name with spaces stands in backquotes. The grammar:

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = "-" factor | "(" sum ")" | number | name
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError

__all__ = ["Expression", "parse_expression"]

Column = npt.NDArray[np.float64]
_Evaluate = Callable[[Mapping[str, Column]], Any]
_MAX_LENGTH = 200  # keeps the recursion of nested parentheses shallow
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)|`([^`]+)`|([^\W\d]\w*)|([-+*/()]))")


@dataclass(frozen=True)
class Expression:
    """A parsed mapping: the columns it needs, and its value given them."""

    text: str
    columns: tuple[str, ...]
    _evaluate: _Evaluate

    @property
    def is_arithmetic(self) -> bool:
        """False for a bare column name, whose values may be text."""
        return self.columns != (self.text,)

    def evaluate(self, columns: Mapping[str, Column]) -> Column:
        """The value per line; division by zero gives inf or NaN, which the reader rejects."""
        with np.errstate(all="ignore"):
            return np.asarray(self._evaluate(columns), dtype=np.float64)


def parse_expression(text: str, known: list[str]) -> Expression:
    """Parse `text`; one that is the exact name of a `known` column is that column.

    >>> parse_expression("Quantity * (Price - 1)", ["Quantity", "Price"]).columns
    ('Quantity', 'Price')
    """
    if text in known:
        return Expression(text, (text,), lambda columns: columns[text])
    if len(text) > _MAX_LENGTH:
        raise ConfigError(f"a column mapping has at most {_MAX_LENGTH} characters, got {len(text)}")
    parser = _Parser(text)
    evaluate = parser.sum()
    parser.expect_end()
    if parser.names and text.strip() == f"`{parser.names[0]}`":
        return parse_expression(parser.names[0], [parser.names[0]])
    return Expression(text, tuple(dict.fromkeys(parser.names)), evaluate)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.position, self.names = text, 0, list[str]()
        self.number, self.name, self.sign = "", "", ""
        self.advance()

    def advance(self) -> None:
        """Step to the next token; at the end all three kinds are empty."""
        self.number = self.name = self.sign = ""
        if not self.text[self.position :].strip():
            self.position = len(self.text)
            return
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            self.fail(f"{self.text[self.position :].strip()[0]!r} is not allowed")
        self.number, self.sign = match[1] or "", match[4] or ""
        self.name = match[2] or match[3] or ""
        self.position = match.end()

    def fail(self, why: str) -> NoReturn:
        raise ConfigError(
            f"a column mapping is a name or arithmetic with + - * / and parentheses "
            f"(names with other characters in `backquotes`), got {self.text!r}: {why}"
        )

    def expect_end(self) -> None:
        if self.number or self.name or self.sign:
            self.fail(f"{self.number or self.name or self.sign!r} is not expected there")

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
        return lambda columns: operator(left(columns), right(columns))

    def factor(self) -> _Evaluate:
        if self.sign == "-":
            self.advance()
            inner = self.factor()
            return lambda columns: np.negative(inner(columns))
        if self.sign == "(":
            self.advance()
            inner = self.sum()
            if self.sign != ")":
                self.fail("a closing parenthesis is missing")
            self.advance()
            return inner
        number, name = self.number, self.name
        if number:
            self.advance()
            return lambda columns: float(number)
        if name:
            self.names.append(name)
            self.advance()
            return lambda columns: columns[name]
        self.fail("it ends too early" if not self.sign else f"{self.sign!r} is not expected there")
