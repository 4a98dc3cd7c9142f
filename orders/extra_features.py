"""The user's own features: a function of order lines and a cutoff, carried with the orders.

Orders carry the function so that every feature row computed from them has its columns. A model
keeps the columns' names alone; the function comes from the caller or the configuration.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from ..errors import ConfigError

__all__ = ["ExtraFeatures", "ExtraFunction", "load_extra_function"]

ExtraFunction: TypeAlias = Callable[[pd.DataFrame, pd.Timestamp], pd.DataFrame]


@dataclass(frozen=True)
class ExtraFeatures:
    """The function, and the columns a model learned from; without names, all it returns."""

    function: ExtraFunction
    names: tuple[str, ...] | None = None


def load_extra_function(address: str) -> ExtraFunction:
    """Import the function that `features.extra` names, such as `my_features:build`.

    Modules in the current folder are found, as with `python -m`. Raises `ConfigError`.
    """
    module_name, _, name = address.partition(":")
    if (folder := os.getcwd()) not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise ConfigError(
            f"features.extra names the module {module_name}, which cannot be imported ({error}); "
            "run in its folder, or install it"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(
            f"features.extra must be module:function, got {address}: {module_name} has no function "
            f"{name}"
        )
    return function  # type: ignore[no-any-return]  # what it returns is checked at each call
