"""The error families: whose fault an error is, and its exit status.

A message is one sentence (or a list of them): the rule, the value received, the mend.
"""

__all__ = [
    "BundleError",
    "ClvcastError",
    "ConfigError",
    "OrdersError",
    "StoreError",
    "cut_text",
    "quote",
]

_LONGEST_VALUE, _LONGEST_LIST = 120, 500  # characters of a value, and of a list, in a message


class ClvcastError(Exception):
    """Something a user can mend; the command line prints it without a traceback."""

    exit_status = 1


class OrdersError(ClvcastError):
    """The orders cannot be read, or are not fit for what was asked."""


class ConfigError(ClvcastError):
    """The configuration, or an argument, breaks a rule."""

    exit_status = 2


class BundleError(ClvcastError):
    """A model bundle is damaged, incomplete, or of a format this version cannot read."""


class StoreError(ClvcastError):
    """A place to read from or write to (a folder, a disk, the MLflow store) refuses."""


def quote(value: object, longest: int = _LONGEST_VALUE) -> str:
    """A value received as a message shows it: as Python writes it, cut where it is long.

    >>> quote("$5"), quote("9" * 5_000, 3)
    ("'$5'", "'999' ... (5,000 characters)")
    """
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]!r} ... ({len(value):,} characters)"
    try:
        return cut_text(repr(value), longest + 2)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"


def cut_text(text: str, longest: int = _LONGEST_LIST) -> str:
    """A text that holds names or values received, cut where it is long."""
    return text if len(text) <= longest else f"{text[:longest]} ... ({len(text):,} characters)"
