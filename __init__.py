"""clvcast: order histories in, customer lifetime value forecasts out.

Public names are loaded when first used, so that `import clvcast` costs next to nothing.
"""

import os as _os
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

# Waiting OpenMP threads that spin take 20 times the time on a shared machine; the runtime
# reads this once, when LightGBM loads, so it is set before anything of ours can import it.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from . import spark as spark
    from .configs.schema import Config, CustomersConfig, load_config
    from .errors import BundleError, ClvcastError, ConfigError, OrdersError, StoreError
    from .features.check import check
    from .features.customers import join_customers
    from .features.nested import nest
    from .features.orders import Orders
    from .features.reading import read_orders
    from .features.starter import init
    from .features.table import build_features
    from .serve.compare import compare
    from .serve.economics import economics
    from .serve.explain import explain
    from .serve.kpis import kpis
    from .serve.lists import lists
    from .serve.loading import load_model
    from .serve.model import Model
    from .serve.monitor import monitor
    from .serve.one import Forecast
    from .serve.report.make import report
    from .serve.scorer import score
    from .serve.total import total
    from .train.backtest import backtest
    from .train.run import train

__version__ = "0.1.0"

# name -> module; absolute, because test runners also import this file under another name.
_HOME = {
    "BundleError": "clvcast.errors",
    "ClvcastError": "clvcast.errors",
    "Config": "clvcast.configs.schema",
    "ConfigError": "clvcast.errors",
    "CustomersConfig": "clvcast.configs.schema",
    "Forecast": "clvcast.serve.one",
    "Model": "clvcast.serve.model",
    "Orders": "clvcast.features.orders",
    "OrdersError": "clvcast.errors",
    "StoreError": "clvcast.errors",
    "backtest": "clvcast.train.backtest",
    "build_features": "clvcast.features.table",
    "check": "clvcast.features.check",
    "compare": "clvcast.serve.compare",
    "economics": "clvcast.serve.economics",
    "explain": "clvcast.serve.explain",
    "init": "clvcast.features.starter",
    "kpis": "clvcast.serve.kpis",
    "lists": "clvcast.serve.lists",
    "join_customers": "clvcast.features.customers",
    "load_config": "clvcast.configs.schema",
    "load_model": "clvcast.serve.loading",
    "monitor": "clvcast.serve.monitor",
    "nest": "clvcast.features.nested",
    "read_orders": "clvcast.features.reading",
    "report": "clvcast.serve.report.make",
    "score": "clvcast.serve.scorer",
    "total": "clvcast.serve.total",
}

__all__ = [
    "BundleError",
    "ClvcastError",
    "Config",
    "ConfigError",
    "CustomersConfig",
    "Forecast",
    "Model",
    "Orders",
    "OrdersError",
    "StoreError",
    "__version__",
    "backtest",
    "build_features",
    "check",
    "compare",
    "economics",
    "explain",
    "init",
    "join_customers",
    "kpis",
    "lists",
    "load_config",
    "load_model",
    "monitor",
    "nest",
    "read_orders",
    "report",
    "score",
    "total",
    "train",
]


def __getattr__(name: str) -> object:
    if name in ("spark", "train"):  # modules; train is a folder and a function, and can be called
        return _import_module(f"clvcast.{name}")
    if name in _HOME:
        return getattr(_import_module(_HOME[name]), name)
    raise AttributeError(f"module 'clvcast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
