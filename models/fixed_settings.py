"""What training fixed: settings that a later configuration must share, or that have no effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..configs.schema import Config
from ..errors import ConfigError
from .parameters import Parameters

__all__ = ["check_fixed_settings", "describe_unused_settings"]

_HEEDED = ("horizon_days", "periods", "economics", "target")  # checked here, or overridden


def check_fixed_settings(numbers: Parameters, currency: str, config: Config) -> None:
    """Refuse a stated horizon, target or currency that is not the model's.

    Raises `ConfigError`: the trees learned the spend of one horizon, counted in one way, in one
    currency.
    """
    stated_keys = config.model_fields_set
    fixed: list[tuple[str, object, object]] = [
        (key, getattr(config, key), getattr(numbers, key))
        for key in ("horizon_days", "target")
        if key in stated_keys
    ]
    stated_currency = (config.orders.currency or "").strip().upper()
    if currency and stated_currency != currency.strip().upper() and stated_currency:
        fixed.append(("orders.currency", config.orders.currency, currency))
    for key, stated, trained in fixed:
        if stated != trained:
            raise ConfigError(
                f"{key} must be the model's {trained}, got {stated}; leave it out, or train a "
                f"model with {key} {stated}"
            )


def describe_unused_settings(numbers: Parameters, config: Config) -> list[str]:
    """Sentences on what a configuration states and this model cannot heed."""
    sentences = []
    learned = _flatten(numbers.settings)
    stated = _flatten(config.model_dump(mode="json", exclude_unset=True, include=set(_learned())))
    # of a mapping that was learned empty, such as model.parameters, each key is new
    was_empty = {name for name, value in learned.items() if value == {}}
    differ = [
        key
        for key, value in stated.items()
        if value != {}
        and (learned[key] != value if key in learned else key.rpartition(".")[0] in was_empty)
    ]
    if differ:
        ours = ", ".join(f"{key} {stated[key]}" for key in differ)
        trained = ", ".join(f"{key} {learned.get(key, 'unset')}" for key in differ)
        sentences.append(f"not used: {ours}; the model was trained with {trained}")
    names = [
        name
        for name, is_stated, is_learned in (
            ("calendar", config.calendar, numbers.calendar),
            ("customers", config.customers, numbers.customers),
            ("features.extra", config.features.extra, numbers.extra_features),
            ("season.history", config.season.history, numbers.season_history),
        )
        if is_stated and not is_learned
    ]
    if names:
        sentences.append(
            f"not used: {', '.join(names)}; the model was trained without, train it again"
        )
    return sentences


def _learned() -> list[str]:
    return [key for key in Config().learning() if key not in _HEEDED]


def _flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values by dotted key; an empty mapping is one of them."""
    values: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            values |= _flatten(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values
