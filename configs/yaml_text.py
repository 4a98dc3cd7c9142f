"""YAML that a user wrote: files of bounded size, and one sentence for whatever is wrong in them."""

from __future__ import annotations

import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, quote
from .addresses import hide_passwords

__all__ = ["parse_yaml", "read_yaml_text"]

_MOST_BYTES = 1_000_000
_LONGEST_VALUE = 40


def read_yaml_text(path: Path) -> str:
    """The text of a configuration; `ConfigError` if it is no plain file of at most 1 MB."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"a configuration must be a file, and {path} is none; name a file")
        if status.st_size > _MOST_BYTES:
            raise ConfigError(
                f"a configuration must have at most {_MOST_BYTES:,} bytes, {path} has "
                f"{status.st_size:,}; name a configuration, not the orders"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration {path}; `clvcast init ORDERS` writes one"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, or no UTF-8
        reason = getattr(error, "strerror", error)
        raise ConfigError(f"the configuration {str(path)[:200]} cannot be read: {reason}") from None


def parse_yaml(text: str, name: str) -> Any:
    """The content of YAML text; `name` is what errors call it.

    >>> parse_yaml("horizon_days: 30", "the configuration")
    {'horizon_days': 30}
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        reason = hide_passwords(" ".join(str(error).split()))
        raise ConfigError(f"{name} is not valid YAML: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply to be a configuration") from None


class _Loader(yaml.SafeLoader):
    """Refuses a repeated key, which YAML lets win silently, and values that Python cannot hold."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # else the next line refuses it
                if key in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {quote(key)} stands twice", key_node.start_mark
                    )
                keys.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):  # PyYAML checks no values
            kind = node.tag.rpartition(":")[2]
            value = str(node.value)
            shown = value[:_LONGEST_VALUE] + ("..." if len(value) > _LONGEST_VALUE else "")
            line = node.start_mark.line + 1
            raise yaml.constructor.ConstructorError(
                None, None, f"line {line}: {quote(shown)} is no valid {kind}; put a text in quotes"
            ) from None
