"""Addresses: where `${NAME}` of the environment is put in, and passwords are kept out of what is
shown.
"""

from __future__ import annotations

import os
import re
import shlex
from urllib.parse import quote

from ..errors import ConfigError

__all__ = [
    "expand_variables",
    "format_models_command",
    "hide_passwords",
    "hide_variables",
    "is_address",
    "is_remote_file",
    "list_store_options",
]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@")
_PARAMETER = re.compile(
    r"([?&][\w-]*(?:password|token|secret|signature|credential|sig|key)[\w-]*=)[^&\s#]*", re.I
)
_REMOTE_FILE = re.compile("(s3|gs|https?)://", re.I)


def is_address(source: str) -> bool:
    """Whether a source is a database's address rather than a path: `scheme://...`, `duckdb:`,
    `${URL}`.

    >>> [is_address(text) for text in ("sqlite:///shop.db", "duckdb:", "${SHOP_URL}#orders")]
    [True, True, True]
    >>> is_address("c:/orders.csv")
    False
    """
    return bool(
        re.match(r"[a-z][a-z0-9]+(\+[a-z0-9_]+)?://|duckdb:|\$\{\w+\}(#.*)?$", source, re.I)
    )


def is_remote_file(source: str) -> bool:
    """Whether an address is of files that are fetched, not of a database.

    >>> [is_remote_file(s) for s in ("s3://shop/orders/*.parquet", "sqlite:///shop.db")]
    [True, False]
    """
    return bool(_REMOTE_FILE.match(source))


def expand_variables(address: str) -> str:
    """The address with every `${NAME}` replaced from the environment.

    What stands before the `@` is quoted, so that a password may hold any character. Raises
    `ConfigError` naming a variable that is not set; never its value.
    """
    before, at, after = address.rpartition("@")
    return (
        _VARIABLE.sub(lambda found: quote(_get_variable(found[1]), safe=""), before)
        + at
        + _VARIABLE.sub(lambda found: _get_variable(found[1]), after)
    )


def _get_variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            f"an address names ${{{name}}}, and the environment has no {name}; "
            f"set it: export {name}=..."
        )
    return value


def hide_variables(text: str, address: str) -> str:
    """Text with what the environment puts into an address starred: plain or quoted, in any case."""
    values = [os.environ.get(name, "") for name in _VARIABLE.findall(address)]
    forms = {form for value in values if value for form in (value, quote(value, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(re.escape(form), "***", text, flags=re.I)
    return text


def hide_passwords(text: str) -> str:
    """Text with the passwords of all addresses in it starred.

    >>> hide_passwords("postgresql://clv:secret@host/shop refuses")
    'postgresql://clv:***@host/shop refuses'
    """
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def list_store_options(tracking_uri: str | None) -> list[str]:
    """The options of a command that name an MLflow store.

    An address with a password is left out: MLFLOW_TRACKING_URI keeps it out of a shell's log.
    """
    if tracking_uri is None or hide_passwords(tracking_uri) != tracking_uri:
        return []
    return ["--tracking-uri", tracking_uri]


def format_models_command(name: str, tracking_uri: str, *arguments: str) -> str:
    """A command of `clvcast models` as it can be pasted into a shell.

    >>> format_models_command("clv", "sqlite:///mlflow.db", "list")
    'clvcast models list --name clv --tracking-uri sqlite:///mlflow.db'
    """
    place = ["--name", name, *list_store_options(tracking_uri)]
    return shlex.join(["clvcast", "models", *arguments, *place])
