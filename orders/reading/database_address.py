"""Addresses of databases, and what a database answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from ...configs.addresses import expand_variables, hide_passwords, hide_variables
from ...errors import OrdersError, quote
from .python_values import build_column, find_kinds

__all__ = ["DatabaseAddress", "QueryResult", "build_answer_column", "parse_address"]

_REASON_LENGTH = 300


@dataclass(frozen=True)
class QueryResult:
    """What a database gives: its columns, and their rows chunk by chunk."""

    names: list[str]
    chunks: Callable[[Sequence[str]], Iterator[pa.Table]]  # of some columns


@dataclass(frozen=True)
class DatabaseAddress:
    """A database's address, as given and as it may be shown, and the table it names, if any."""

    address: str
    shown: str
    table: str | None

    @property
    def is_duckdb(self) -> bool:
        """Whether DuckDB reads it; SQLAlchemy does the rest."""
        return expand_variables(self.address).lower().startswith("duckdb:")

    def reason(self, error: BaseException) -> str:
        """What a driver says, on one line and without secrets."""
        message = " ".join(str(getattr(error, "orig", None) or error).split())
        message = hide_variables(message, self.address)
        expanded = expand_variables(self.address)  # a variable may hold an address with a password
        password = expanded.rpartition("@")[0].rpartition(":")[2]
        if "@" in expanded and password:
            message = message.replace(password, "***").replace(unquote(password), "***")
        return hide_passwords(message)[:_REASON_LENGTH]


def parse_address(source: str) -> DatabaseAddress:
    """Take `ADDRESS` or `ADDRESS#TABLE` apart.

    >>> parse_address("sqlite:///shop.db#orders").table
    'orders'
    """
    start = source.rfind("@") + 1  # a password may hold the sign
    address, _, table = source[start:].partition("#")
    return DatabaseAddress(source[:start] + address, hide_passwords(source), table or None)


def build_answer_column(values: Sequence[Any], name: str, asked: DatabaseAddress) -> pa.Array:
    """A column of an answer; refuses text mixed with fractions, which a database can tell apart."""
    kinds = find_kinds(values)
    if str in kinds and len(kinds) > 1:  # SQLite keeps whatever it is given
        values = [None if value == "" else value for value in values]
        kinds = find_kinds(values)
    if str in kinds and kinds & {float, Decimal} and kinds <= {str, int, float, Decimal}:
        raise OrdersError(
            f"{asked.shown}: column {quote(name)} must hold text or numbers, it mixes them; "
            "CAST it in a query"
        )
    return build_column(values)
