"""Rows in, a model out: its evaluation, its run, its registration.

`clvcast.train` is both this folder and the function of that name, so the module can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..models.api import Model
    from ..orders.dates import Instant
    from ..orders.orders import Orders


class _Train(ModuleType):
    def __call__(
        self, orders: Orders, config: Config | None = None, cutoff: Instant | None = None
    ) -> Model:
        """Train a model on the orders known before `cutoff`; see `clvcast.train.run.train`."""
        from .run import train

        return train(orders, config, cutoff)


sys.modules[__name__].__class__ = _Train
