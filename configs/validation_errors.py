"""pydantic's errors as sentences: the key, the rule, the value received, and the nearest known
keys.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, quote
from .addresses import hide_passwords

__all__ = ["translate_errors"]

_MOST_FAULTS = 20
_LONGEST_VALUE = 500


def translate_errors(error: ValidationError, section: type[BaseModel], name: str) -> ConfigError:
    """One sentence per error; `name` is what the configuration is called in them."""
    faults = error.errors()
    lines = [f"{name}: {_describe_error(fault, section)}" for fault in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        lines.append(f"{name}: and {len(faults) - _MOST_FAULTS:,} more")
    return ConfigError("\n".join(lines))


def _describe_error(error: Any, section: type[BaseModel]) -> str:
    is_key = error["loc"][-1:] == ("[key]",)
    path = [str(part) for part in error["loc"] if part != "[key]"]
    where = ".".join(path)
    if error["type"] == "extra_forbidden" or (is_key and error["type"] == "literal_error"):
        known_keys = _list_known_keys(section, path[:-1])
        near = difflib.get_close_matches(path[-1], known_keys)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known_keys)}"
        return f"unknown key {where}; {hint}"
    if error["type"] == "model_type":
        return f"{where} must hold keys and values, got {type(error['input']).__name__}"
    rule = error["msg"].removeprefix("Value error, ")
    rule = rule.replace("Input should", "should").replace("Field required", "is required")
    is_section = isinstance(error["input"], Mapping) and path[-1:] != ["columns"]
    if path[-1:] == ["uri"] or where == "" or is_section:
        return f"{where} {rule}".strip()  # an address may hold a password: not repeated
    return hide_passwords(f"{where} {rule}, got {quote(error['input'], _LONGEST_VALUE)}")


def _list_known_keys(section: type[BaseModel], path: Iterable[str]) -> list[str]:
    """The keys that may stand at a path below a section."""
    steps = iter(path)
    for part in steps:
        if part.isdigit():  # a place in a list of sections
            continue
        annotation = section.model_fields[part].annotation
        arguments = get_args(annotation)
        if get_origin(annotation) is dict:
            if get_origin(arguments[0]) is Literal:
                return list(get_args(arguments[0]))
            next(steps, None)  # the entry's own name
        sections = [
            kind
            for kind in (annotation, *arguments)
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        section = sections[0]
    return [field.alias or name for name, field in section.model_fields.items()]
