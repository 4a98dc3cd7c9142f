"""The error families: whose fault an error is, and its exit status.

A message is one sentence (or a list of them): the rule, the value received, the mend.
"""

__all__ = ["BundleError", "ClvcastError", "ConfigError", "OrdersError", "StoreError"]


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
