"""Orders in, a model out: fitting, evaluation, the gate, the registry.

`clvcast.train` is this folder and also a function. The function stands in for the module, so that
`help`, `inspect.signature` and notebooks show a function; it carries the attributes that Python
needs to import the folder's modules.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..models.api import Model
    from ..orders.dates import Instant
    from ..orders.extra_features import ExtraFunction
    from ..orders.reading.read_orders import OrdersSource


def train(
    orders: OrdersSource,
    config: Config | None = None,
    cutoff: Instant | None = None,
    *,
    extra_features: ExtraFunction | None = None,
) -> Model:
    """Train a model on the orders before a cutoff. Needs no MLflow and writes nothing.

    Parameters
    ----------
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    config : Config, optional
        Settings of the shop; the defaults if not given.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest order line.
    extra_features : callable, optional
        Your own features, as in `clvcast.build_features`. The model keeps their names alone:
        `clvcast.score` needs the function again.

    Returns
    -------
    Model
        A model to pass to `clvcast.score`, or to save as a bundle.

    Raises
    ------
    OrdersError
        If the history is too short or has no repeat customer.
    ConfigError
        If a setting does not fit these orders, or `extra_features` breaks a rule.

    Warns
    -----
    UserWarning
        If the orders end more than a week before the cutoff.

    """
    from .run import train

    return train(orders, config, cutoff, extra_features=extra_features)


for _name in ("__file__", "__loader__", "__package__", "__path__", "__spec__"):
    setattr(train, _name, globals()[_name])
train.__name__ = __name__  # `from clvcast.train import run` looks for this name and ".run"
sys.modules[__name__] = cast(ModuleType, train)
