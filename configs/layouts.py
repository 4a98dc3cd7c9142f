"""Layouts: what a platform's export holds, found by its header, and the settings that read it.

A layout is a YAML file in `orders/layouts/`: one file more is one layout more. A platform may have
several exports, each with the columns that tell it (`needs`) and the keys of `orders:` to read it.
A column of ours is given as one name (or arithmetic, with every name in backquotes, or a list of
names to join), or as a list of alternatives, of which the first that the file has is taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field

from ..errors import ConfigError, OrdersError, quote
from .section import Section

__all__ = [
    "Export",
    "Layout",
    "apply_layout",
    "find_export",
    "fit_layout",
    "list_named_columns",
    "load_layouts",
    "normalize_name",
    "quote_name",
]  # fmt: skip

LAYOUTS_FOLDER = Path(__file__).parent.parent / "orders" / "layouts"
Given = str | tuple[str, ...]  # a name, arithmetic, or names to join
_UNSET: dict[str, Any] = {
    "only": {}, "except": {}, "returns": {}, "return_columns": {}, "amount_per": "line",
    "currency_column": None,
}  # fmt: skip
_FITTED = tuple(_UNSET)  # and columns


def _parse_alternatives(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Alternatives = Annotated[tuple[Given, ...], BeforeValidator(_parse_alternatives)]
OneOf = Annotated[tuple[str, ...], BeforeValidator(_parse_alternatives)]


class Export(Section):
    """One kind of file a platform writes: how to tell it, and how to read it."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    says: str = Field(description="What the amount is, and which orders are left out.")
    needs: tuple[OneOf, ...] = Field(description="Columns that tell the export; one of each group.")
    told_by: OneOf = Field(
        default=(),
        description="Columns of which a file must have one to be found; not where it is named.",
    )
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Endings of a column's values, where these tell the export.",
    )
    columns: dict[str, Alternatives]
    format: dict[str, str] = Field(default_factory=dict)
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    except_: dict[str, tuple[str, ...]] = Field(default_factory=dict, alias="except")
    returns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    return_columns: dict[str, OneOf] = Field(default_factory=dict)
    amount_per: Literal["line", "order"] = "line"
    no_customer: tuple[str, ...] = ()
    currency_column: OneOf = ()
    timezone: str | None = Field(default=None, description="Set where the export fixes it.")

    def missing(self, names: Sequence[str]) -> list[str]:
        """The columns that tell the export and that a file lacks."""
        present_names = {normalize_name(name) for name in names}
        return [
            group[0]
            for group in self.needs
            if not any(normalize_name(n) in present_names for n in group)
        ]

    def is_told(self, names: Sequence[str]) -> bool:
        """Whether a file has a column that no other table is likely to have, if it needs one."""
        present_names = {normalize_name(name) for name in names}
        return not self.told_by or any(normalize_name(n) in present_names for n in self.told_by)

    def fits_values(self, column: str, lines: Mapping[str, int]) -> bool:
        """Whether most of a column's values, with their lines, end as this export's do."""
        endings = self.where.get(normalize_name(column), ())
        fitting = sum(n for value, n in lines.items() if value.lower().endswith(endings))
        return bool(endings) and 2 * fitting > sum(lines.values())

    def settings(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The keys of `orders:` that read a file with these columns, or the usual file."""
        file_names = (
            None if names is None else {normalize_name(name): name for name in reversed(names)}
        )
        columns = {
            ours: _find_alternative(alternatives, file_names)
            for ours, alternatives in self.columns.items()
        }
        columns = {ours: theirs for ours, theirs in columns.items() if theirs is not None}
        settings: dict[str, Any] = {"columns": columns}
        if self.format:
            settings["format"] = dict(self.format)
        listed = {"only": self.only, "except": self.except_, "returns": self.returns}
        for key, filters in listed.items():
            present = {
                _find_alternative((name,), file_names): list(v) for name, v in filters.items()
            }
            present.pop(None, None)
            if names is None:  # what is certain to be there
                needed = {normalize_name(name) for group in self.needs for name in group}
                present = {n: v for n, v in present.items() if normalize_name(str(n)) in needed}
            if present:
                settings[key] = present
        if self.return_columns and file_names is not None:
            return_columns = {
                ours: _find_alternative(names, file_names)
                for ours, names in self.return_columns.items()
            }
            return_columns = {
                ours: theirs for ours, theirs in return_columns.items() if theirs is not None
            }
            settings |= {"return_columns": return_columns} if return_columns else {}
        if self.amount_per == "order" and "order_id" in columns:
            settings["amount_per"] = "order"
        if self.no_customer and "email" not in str(columns.get("customer_id")).lower():
            settings["no_customer"] = list(self.no_customer)
        if self.currency_column and names is not None:
            settings["currency_column"] = _find_alternative(self.currency_column, file_names)
        settings["timezone"] = self.timezone
        return {key: value for key, value in settings.items() if value is not None}


class Layout(Section):
    """A platform and the exports it has."""

    title: str
    exports: tuple[Export, ...] = Field(min_length=1)

    def best_export(self, names: Sequence[str]) -> Export | None:
        """The export that a file with these columns is: the one that most of them tell."""
        fitting = [e for e in self.exports if not e.missing(names) and not e.where]
        return max(fitting, key=lambda export: len(export.needs), default=None)


def normalize_name(name: str) -> str:
    """A column's name without case, byte order mark and spaces around it."""
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def list_named_columns(given: Given) -> list[str]:
    """The columns that a value of a layout needs."""
    if not isinstance(given, str):
        return list(given)
    return re.findall("`([^`]+)`", given) or [given]


def _find_alternative(alternatives: Sequence[Given], known: Mapping[str, str] | None) -> Any:
    """The first alternative whose columns the file has, in the file's own names; None for none."""
    for column in alternatives:
        if known is None:
            return column if isinstance(column, str) else list(column)
        theirs = {name: known.get(normalize_name(name)) for name in list_named_columns(column)}
        if None not in theirs.values():
            return _rename(column, theirs)
    return None


def _rename(given: Given, theirs: Mapping[str, str | None]) -> Any:
    """A value of a layout with each column named as the file names it."""
    if not isinstance(given, str):
        return [theirs[name] for name in given]
    if "`" not in given:
        return theirs[given]
    return re.sub("`([^`]+)`", lambda found: quote_name(str(theirs[found[1]])), given)


def quote_name(name: str) -> str:
    """A column name for use in arithmetic: in backquotes unless it is a plain word."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) and name != "or" else f"`{name}`"


@lru_cache(maxsize=8)
def load_layouts(folder: Path = LAYOUTS_FOLDER) -> dict[str, Layout]:
    """All layouts of a folder by name; raises `ConfigError` for a wrong one."""
    paths = sorted(folder.glob("*.yaml"))
    return {path.stem: _load_layout(path) for path in paths}


def _load_layout(path: Path) -> Layout:
    try:
        return Layout(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"the layout {path.name} is not valid YAML: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"the layout {path.name}: {error}") from None


def find_export(
    names: Sequence[str], layouts: Mapping[str, Layout] | None = None
) -> tuple[str, Export] | None:
    """The layout and the export whose header fits a file's columns best; None where none fits."""
    candidates = []
    for name, layout in (layouts or load_layouts()).items():
        export = layout.best_export(names)
        if export is not None and export.is_told(names):
            candidates.append((name, export))
    return max(candidates, key=lambda one: len(one[1].needs), default=None)


def _find_layout(name: str) -> Layout:
    layouts = load_layouts()
    if name not in layouts:
        near = difflib.get_close_matches(str(name), layouts)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(layouts)}"
        raise ConfigError(f"unknown layout {quote(name)}; {hint}")
    return layouts[name]


def apply_layout(
    settings: Mapping[str, Any], keys: Collection[str] | None = None
) -> dict[str, Any]:
    """The keys of `orders:`, or of a source, with those its `layout` gives if not stated.

    `keys` are those that may be filled.

    >>> apply_layout({"layout": "paypal"})["columns"]["amount"]
    'Gross'
    """
    filled = dict(settings)
    if filled.get("layout") is None:
        return filled
    for key, value in _find_layout(filled["layout"]).exports[0].settings().items():
        current = filled.get(key)
        if keys is not None and key not in keys:
            continue
        if current is None:
            filled[key] = value
        elif key in ("columns", "format") and isinstance(current, Mapping):
            filled[key] = {**value, **current}
    return filled


def fit_layout(
    layout: str, stated: Mapping[str, Any], names: Sequence[str], file: str
) -> dict[str, Any]:
    """The keys that read a file: what `apply_layout` filled in, in the columns that the file has.

    `stated` are the filled `columns` and the keys of `_UNSET`; those that are not as the layout
    fills them are the user's own, and stay. Raises `OrdersError` naming the missing columns where
    no export of the layout fits.
    """
    definition = _find_layout(layout)
    usual = definition.exports[0].settings()
    export = definition.best_export(names)
    if export is None:
        if _has_columns(stated.get("columns", {}), names):
            return dict(stated)
        raise OrdersError(_describe_misfit(layout, definition, names, file))
    fitting = export.settings(names)
    fitted = dict(stated)
    for key in _FITTED:
        if _is_usual(stated.get(key), usual.get(key)):
            fitted[key] = fitting.get(key, _UNSET[key])
    user_columns = {
        ours: theirs
        for ours, theirs in stated.get("columns", {}).items()
        if _format_value(theirs) != _format_value(usual["columns"].get(ours))
    }
    fitted["columns"] = {**fitting["columns"], **user_columns}
    return fitted


def _has_columns(columns: Mapping[str, Any], names: Sequence[str]) -> bool:
    needed = [name for column in columns.values() for name in list_named_columns(column)]
    return bool(needed) and all(name in names for name in needed)


def _is_usual(value: Any, usual: Any) -> bool:
    """Whether a key is as the layout fills it, or unset where it fills nothing."""
    is_unset = not value or value == "line"
    return is_unset if usual is None else _format_value(value) == _format_value(usual)


def _format_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _format_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_format_value(one) for one in value]
    return value.replace("`", "") if isinstance(value, str) else value


def _describe_misfit(name: str, layout: Layout, names: Sequence[str], file: str) -> str:
    missing = min((export.missing(names) for export in layout.exports), key=len)
    other = find_export(names)
    mend = (
        f"it looks like layout: {other[0]}"
        if other
        else "`clvcast init` finds out what the file is"
    )
    columns = ", ".join(quote(column) for column in missing)
    noun = "column" if len(missing) == 1 else "columns"
    return f"{file} does not fit layout: {name}, which needs the {noun} {columns}; {mend}"
