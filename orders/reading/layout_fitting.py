"""A layout in the columns of the file at hand: other exports, other spelling, columns missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ...configs.addresses import is_address, is_remote_file
from ...configs.layouts import fit_layout
from ...configs.schema import REQUIRED_COLUMNS, LineRules, SourceConfig
from ...errors import OrdersError, quote
from .databases import open_query
from .files import list_files, read_column_names
from .remote_files import fetch_files

__all__ = ["fit_rules", "fit_source"]

Rules = TypeVar("Rules", bound=LineRules)


def fit_rules(rules: Rules, names: Sequence[str], file: str = "the table") -> Rules:
    """The rules as their layout has them for these columns; `OrdersError` where it does not fit.

    A table with our own names is left to be read by these.
    """
    if rules.layout is None or all(name in names for name in REQUIRED_COLUMNS):
        return rules
    filled = {
        "columns": rules.columns,
        "only": rules.only,
        "except": rules.except_,
        "returns": rules.returns,
        "return_columns": rules.return_columns,
        "amount_per": rules.amount_per,
        "currency_column": rules.currency_column,
    }
    fitted = fit_layout(rules.layout, filled, names, file)
    fitted["except_"] = fitted.pop("except")
    # as a configuration would state them: lists become tuples
    checked = LineRules.model_validate({**fitted, "layout": None, "format": rules.format})
    return rules.model_copy(update={name: getattr(checked, name) for name in fitted})


def fit_source(source: SourceConfig) -> SourceConfig:
    """A source with the rules that its files, or its query, need.

    Raises `OrdersError` where two files would need different rules: the first one's would drop or
    misread money of the other.
    """
    if source.layout is None:
        return source
    fitted, first = source, ""
    for file, names in _iterate_headers(source):
        rules = fit_rules(source, names, file)
        if first:
            _refuse_difference(fitted, rules, first, file)
        else:
            fitted, first = rules, file
    return fitted


def _iterate_headers(source: SourceConfig) -> Iterator[tuple[str, list[str]]]:
    """The name and the columns of each file of a source, or of its query's answer."""
    if is_remote_file(source.source):
        for fetched in fetch_files(source.source):  # each is there until the next is asked for
            yield fetched.shown, read_column_names(fetched.path, source.format)
    elif is_address(source.source):
        with open_query(source.source, source.query) as result:
            yield "the query's answer", result.names
    else:
        for path in list_files(source):
            yield path.name, read_column_names(path, source.format)


def _refuse_difference(fitted: LineRules, other: LineRules, first: str, second: str) -> None:
    """Refuse two files that one layout reads by different rules; what is no money may differ."""
    one, two = _list_rules(fitted), _list_rules(other)
    for key in one | two:
        if one.get(key) != two.get(key):
            raise OrdersError(
                f"all files of a source must have the columns that its layout reads, got "
                f"{key} {_show(one.get(key))} in {first} and {_show(two.get(key))} in {second}; "
                "give them in orders.sources, one source for each kind of file"
            )


def _list_rules(rules: LineRules) -> dict[str, Any]:
    money = (*REQUIRED_COLUMNS, "order_id")
    return {
        **{key: value for key, value in rules.columns.items() if key in money},
        "only": rules.only,
        "except": rules.except_,
        "returns": rules.returns,
        "return_columns": rules.return_columns,
        "amount_per": rules.amount_per,
        "currency_column": rules.currency_column,
    }


def _show(value: Any) -> str:
    """A rule in a sentence; of filters the columns alone."""
    if isinstance(value, Mapping):
        return ", ".join(value) or "nothing"
    return quote(value) if value else "nothing"
