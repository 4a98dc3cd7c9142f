"""A layout in the columns of the file at hand: other exports, other spelling, columns missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...configs.addresses import is_address, is_remote_file
from ...configs.layouts import fit_layout
from ...configs.schema import REQUIRED_COLUMNS, LineRules, SourceConfig
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
    """A source with the rules that its first file, or its query, needs."""
    if source.layout is None:
        return source
    if is_remote_file(source.source):
        for fetched in fetch_files(source.source):  # each is there until the next is asked for
            names = read_column_names(fetched.path, source.format)
            return fit_rules(source, names, fetched.shown)
    if is_address(source.source):
        with open_query(source.source, source.query) as result:
            return fit_rules(source, result.names, "the query's answer")
    path = list_files(source)[0]
    return fit_rules(source, read_column_names(path, source.format), path.name)
