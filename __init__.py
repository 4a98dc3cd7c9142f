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
    from . import datasets as datasets
    from . import estimators as estimators
    from . import plot as plot
    from . import registry as registry
    from . import spark as spark
    from . import tables as tables
    from .api.rfm_summary import rfm_summary
    from .configs.schema import Config, CustomersConfig, load_config
    from .decisions.campaign_lists import lists
    from .decisions.economics import economics
    from .decisions.kpis import kpis
    from .decisions.report.build import report
    from .discovery.config_template import init
    from .errors import BundleError, ClvcastError, ConfigError, OrdersError, StoreError
    from .evaluation.comparison import compare
    from .evaluation.monitoring import monitor
    from .features.checks.data_checks import check
    from .features.feature_frame import build_features
    from .models.api import Model
    from .models.explain import explain
    from .models.loading import load_model
    from .models.score_one import Forecast
    from .models.scoring import score
    from .models.totals import total
    from .orders.orders import Orders
    from .orders.reading.customer_attributes import join_customers
    from .orders.reading.nested_rows import nest
    from .orders.reading.read_orders import read_orders
    from .train import train
    from .train.backtest.run import backtest
    from .train.registry.track_orders import track

    __version__: str

# name -> module; absolute, because test runners also import this file under another name.
_HOME = {
    "BundleError": "clvcast.errors",
    "ClvcastError": "clvcast.errors",
    "Config": "clvcast.configs.schema",
    "ConfigError": "clvcast.errors",
    "CustomersConfig": "clvcast.configs.schema",
    "Forecast": "clvcast.models.score_one",
    "Model": "clvcast.models.api",
    "Orders": "clvcast.orders.orders",
    "OrdersError": "clvcast.errors",
    "StoreError": "clvcast.errors",
    "backtest": "clvcast.train.backtest.run",
    "build_features": "clvcast.features.feature_frame",
    "check": "clvcast.features.checks.data_checks",
    "compare": "clvcast.evaluation.comparison",
    "economics": "clvcast.decisions.economics",
    "explain": "clvcast.models.explain",
    "init": "clvcast.discovery.config_template",
    "kpis": "clvcast.decisions.kpis",
    "lists": "clvcast.decisions.campaign_lists",
    "join_customers": "clvcast.orders.reading.customer_attributes",
    "load_config": "clvcast.configs.schema",
    "load_model": "clvcast.models.loading",
    "monitor": "clvcast.evaluation.monitoring",
    "nest": "clvcast.orders.reading.nested_rows",
    "rfm_summary": "clvcast.api.rfm_summary",
    "read_orders": "clvcast.orders.reading.read_orders",
    "report": "clvcast.decisions.report.build",
    "score": "clvcast.models.scoring",
    "total": "clvcast.models.totals",
    "track": "clvcast.train.registry.track_orders",
}
# modules as attributes; train is a folder and stands for a function
_MODULES = ("datasets", "estimators", "plot", "registry", "spark", "tables", "train")

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
    "datasets",
    "economics",
    "estimators",
    "explain",
    "init",
    "join_customers",
    "kpis",
    "lists",
    "load_config",
    "load_model",
    "monitor",
    "nest",
    "plot",
    "read_orders",
    "registry",
    "report",
    "rfm_summary",
    "score",
    "tables",
    "total",
    "track",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f"clvcast.{name}")
    if name == "__version__":
        from importlib.metadata import version  # slow to import, and seldom asked for

        return version("clvcast")
    if name in _HOME:
        return getattr(_import_module(_HOME[name]), name)
    raise AttributeError(f"module 'clvcast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
