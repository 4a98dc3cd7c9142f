"""The orders of forecast files: those that are named, or a configuration's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .console import DEFAULT_CONFIG, read_optional_config, read_orders

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..orders.orders import Orders

__all__ = ["find_orders", "read_settings"]


def read_settings(config: Path | None, orders: str | None) -> Config | None:
    """The configuration that is named; without orders, clvcast.yaml in this folder."""
    if config is None and orders is None and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    return read_optional_config(config)


def find_orders(orders: str | None, config: Config | None, silent: bool) -> str | Orders:
    """The orders that are named, else those of the configuration."""
    if orders is not None:
        return orders
    if config is None:
        raise ConfigError(
            "the forecasts' orders must be named: add --orders, or --config (default: "
            f"{DEFAULT_CONFIG}, which is not in this folder)"
        )
    return read_orders(config, silent)
