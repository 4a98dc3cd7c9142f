"""Queries that only read: a statement that would write a table or leave a file is refused.

A read-only transaction is not enough: SQLite's ATTACH and VACUUM INTO, and DuckDB's ATTACH, COPY
and EXPORT, create files next to it.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from ...errors import OrdersError

__all__ = [
    "DENIALS",
    "check_duckdb_query",
    "check_one_select",
    "forbid_sqlite_writes",
    "refuse_query",
]

DENIALS = ("not authorized", "authorization denied")  # what SQLite says of a statement forbidden
_SQLITE_READS = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)
_DUCKDB_BEFORE = (
    "CREATE",
    "LOAD",
    "SET",
    "VARIABLE_SET",
)  # in memory: a database file is read-only
_DUCKDB_READS = ("SELECT", "MULTI")  # MULTI: what PIVOT becomes
_NO_KEYWORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.S)
_READ_ONLY = re.compile(
    r"\((?:[^()]*,)?\s*READ_ONLY(?:\s+TRUE)?\s*(?:,(?:(?!READ_ONLY)[^()])*)?\)\s*;?\s*$", re.I
)
_WRITES_FILES = re.compile(
    r"\s*SET\b(.*(profil|log_query|directory)|\s+((GLOBAL|SESSION|LOCAL)\s+)?\?)", re.I | re.S
)
_NESTED_COMMENT = r"/\*(?:(?!\*/).)*/\*"  # some databases end it at the first */, others do not
# quotes and comments of other kinds than _NO_KEYWORDS finds, which could hide a statement
_UNSURE_IN_DUCKDB = re.compile(rf"{_NESTED_COMMENT}|\$\w*\$|\\'", re.S)
_UNSURE_ELSEWHERE = re.compile(rf"{_NESTED_COMMENT}|[#`$]|//|\'\'\'|\"\"\"", re.S)


def refuse_query(shown: str) -> OrdersError:
    """The error of a query that does more than read."""
    return OrdersError(
        f"{shown}: the query must be a SELECT, it gives no rows, or it would write a table or a "
        "file"
    )


def forbid_sqlite_writes(connection: Any) -> None:
    """From now on a connection of `sqlite3` prepares SELECT statements alone."""

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        is_version = action == sqlite3.SQLITE_PRAGMA and (first, second) == ("data_version", None)
        allowed = action in _SQLITE_READS or is_version  # full-text tables ask for the version
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)


def check_duckdb_query(connection: Any, query: str, shown: str) -> None:
    """Refuse a query whose last statement is no SELECT, or that writes before it.

    Before it may stand what lives in memory (a secret, a macro, a setting), LOAD, INSTALL, and
    ATTACH with the option READ_ONLY.
    """
    connection.execute("SET allow_persistent_secrets = false")
    statements = connection.extract_statements(query)
    for statement in statements[:-1]:
        kind = statement.type.name
        text = _NO_KEYWORDS.sub(lambda m: "?" if m[0][0] in "'\"" else " ", statement.query)
        is_unsure = kind != "CREATE" and _UNSURE_IN_DUCKDB.search(statement.query)
        is_attached = kind == "ATTACH" and _READ_ONLY.search(text)
        is_allowed = (is_attached or kind in _DUCKDB_BEFORE) and not is_unsure
        if not is_allowed or _WRITES_FILES.match(text):
            raise OrdersError(
                f"{shown}: before the SELECT may stand CREATE, LOAD, ATTACH ... (READ_ONLY) and "
                f"SET of what writes no file, got {kind} ..."
            )
    if not statements or statements[-1].type.name not in _DUCKDB_READS:
        raise refuse_query(shown)


def check_one_select(query: str, shown: str) -> str:
    """Refuse what is not one SELECT, where no driver tells; the query without a last semicolon."""
    query = query.strip().removesuffix(";")
    text = _NO_KEYWORDS.sub(" ", query)
    hides_a_quote = re.search(r"\\['\"`]", query)  # some databases escape them so, others do not
    is_unsure = ";" in query and _UNSURE_ELSEWHERE.search(query)  # quotes and comments of dialects
    if (
        ";" in text
        or is_unsure
        or hides_a_quote
        or not re.match(r"[\s(]*(SELECT|WITH|VALUES)\b", text, re.I)
    ):
        raise refuse_query(shown)
    return query
