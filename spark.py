"""clvcast in Spark: `build_features`, `score` and `train` on a DataFrame of order lines (extra
`spark`).
"""

from .features.spark_features import build_features
from .serve.spark.scoring import score
from .train.spark import train

__all__ = ["build_features", "score", "train"]
