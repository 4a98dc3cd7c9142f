"""clvcast in Spark: `build_features`, `score` and `train` on a DataFrame of order lines (extra `spark`)."""

from .features.spark import build_features
from .serve.spark import score
from .train.spark import train

__all__ = ["build_features", "score", "train"]
