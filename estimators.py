"""The estimators of `clvcast.api.estimators`, under a short name."""

from __future__ import annotations

from .api.estimators import ChurnClassifier, ClvRegressor, FeatureBuilder, RollingOriginSplit

__all__ = ["ChurnClassifier", "ClvRegressor", "FeatureBuilder", "RollingOriginSplit"]
