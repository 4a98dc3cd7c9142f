"""scikit-learn's interface: features as a transformer, models as a regressor and a classifier.

The models learn in two ways. Without `y`, `fit` takes orders and trains the model of
`clvcast.train`; `predict` takes orders and returns a value per customer. With `y`, `fit` takes a
table of numeric features, such as `clvcast.tables.training` or any array, and boosts trees with the
parameters of clvcast's own trees; this is what `cross_validate` and `GridSearchCV` call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
from lightgbm.engine import train as train_lightgbm
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..configs.schema import Config
from ..errors import ConfigError
from ..features.feature_frame import build_features
from ..models.api import Model
from ..models.scoring import score
from ..orders.dates import Instant
from ..orders.extra_features import ExtraFunction
from ..orders.reading.read_orders import OrdersSource
from ..train.boosting import list_tree_parameters
from ..train.run import train
from .splits import RollingOriginSplit

__all__ = ["ChurnClassifier", "ClvRegressor", "FeatureBuilder", "RollingOriginSplit"]

_KEYS = ["customer_id", "cutoff"]
_OUTCOMES = ["next_spend", "churned"]
_LEAST_LEAF = 20


class FeatureBuilder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn orders into features at a cutoff: a row per customer (and cutoff).

    Parameters
    ----------
    cutoffs : date, str or sequence of them
        The first instants that are not observed.
    groups : sequence of str, optional
        Groups of features to compute, the headings of docs/features.md; all by default.
    extra_features : callable, optional
        Your own features, as in `clvcast.build_features`.

    Attributes
    ----------
    feature_names_ : list of str
        Names of the columns, after `fit`.

    """

    def __init__(
        self,
        cutoffs: Instant | Sequence[Instant] = (),
        groups: Sequence[str] | None = None,
        extra_features: ExtraFunction | None = None,
    ) -> None:
        self.cutoffs = cutoffs
        self.groups = groups
        self.extra_features = extra_features

    def fit(self, X: OrdersSource, y: Any = None) -> Self:  # noqa: N803  # scikit-learn's name
        """Learn the names of the features; nothing else is learned from the orders."""
        self.feature_names_ = list(self._build(X).columns)
        return self

    def transform(self, X: OrdersSource) -> pd.DataFrame:  # noqa: N803
        """Compute the features.

        Returns
        -------
        DataFrame
            One row per customer with an order before the cutoff, indexed by customer_id and cutoff,
            sorted by cutoff, then customer_id.

        """
        check_is_fitted(self)
        return self._build(X)[self.feature_names_]

    def fit_transform(self, X: OrdersSource, y: Any = None, **_: Any) -> pd.DataFrame:  # noqa: N803
        """Fit and transform the same orders."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Names of the columns."""
        check_is_fitted(self)
        return np.array(self.feature_names_, dtype=object)

    def _build(self, orders: OrdersSource) -> pd.DataFrame:
        is_one = isinstance(self.cutoffs, str) or not isinstance(self.cutoffs, Sequence)
        cutoffs: Any = [self.cutoffs] if is_one else list(self.cutoffs)  # type: ignore[arg-type]
        if not cutoffs:
            raise ConfigError("cutoffs must name at least one date such as 2024-01-01, got none")
        table = build_features(orders, cutoffs, self.groups, extra_features=self.extra_features)
        return table.set_index(_KEYS).select_dtypes("number")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.no_validation = True
        return tags


class _Boosted(BaseEstimator):  # type: ignore[misc]
    """What both models share: training on orders, and trees on a table."""

    def __init__(
        self,
        horizon_days: int = 90,
        cutoff: Instant | None = None,
        effort: str = "standard",
        parameters: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        self.horizon_days = horizon_days
        self.cutoff = cutoff
        self.effort = effort
        self.parameters = parameters
        self.random_state = random_state

    def _train(self, orders: OrdersSource, **settings: Any) -> None:
        content = {
            "horizon_days": self.horizon_days,
            "effort": self.effort,
            "seed": self.random_state,
            "model": {"parameters": dict(self.parameters or {})},
            **settings,
        }
        self.model_: Model = train(orders, Config(**content), self.cutoff)

    def _score(self, orders: OrdersSource, column: str) -> npt.NDArray[np.float64]:
        return score(self.model_, orders, self.cutoff)[column].to_numpy(dtype=np.float64)

    def _boost(self, table: Any, target: npt.NDArray[np.float64], objective: str) -> None:
        self.__dict__.pop("model_", None)
        parameters = {
            **list_tree_parameters({}),
            "objective": objective,
            "seed": self.random_state,
            "min_data_in_leaf": min(_LEAST_LEAF, max(1, len(target) // 20)),
            **(self.parameters or {}),
        }
        try:
            self.booster_ = train_lightgbm(parameters, lightgbm.Dataset(table, target))
        except lightgbm.basic.LightGBMError as error:
            raise ConfigError(f"LightGBM refuses parameters: {error}") from None

    def _read_table(self, rows: Any, target: Any, **checks: bool) -> tuple[Any, Any]:
        """A table of features and its target, checked as scikit-learn does."""
        return validate_data(  # type: ignore[no-any-return]
            self,
            _drop_keys(rows),
            target,
            ensure_all_finite="allow-nan",
            dtype="numeric",
            ensure_min_samples=2,
            **checks,
        )

    def _predict_rows(self, rows: Any) -> npt.NDArray[np.float64]:
        table = validate_data(
            self, _drop_keys(rows), reset=False, ensure_all_finite="allow-nan", dtype="numeric"
        )
        return np.asarray(self.booster_.predict(table), dtype=np.float64)

    def _is_of_orders(self) -> bool:
        check_is_fitted(self)
        return hasattr(self, "model_")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or hasattr(self, "booster_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False  # without y, X is orders
        return tags


class ClvRegressor(RegressorMixin, _Boosted):  # type: ignore[misc]
    """Value of customers: CLV from orders, or any amount from a feature table.

    Parameters
    ----------
    horizon_days : int, default 90
        Length of one period, in days.
    periods : int, default 4
        Number of periods in a CLV.
    cutoff : str, date or datetime, optional
        With orders: the first instant that is not observed, in `fit` and `predict`.
    effort : str, default "standard"
        With orders: quick, standard or thorough.
    parameters : mapping, optional
        LightGBM parameters that replace clvcast's defaults.
    random_state : int, default 0
        Seed.

    Attributes
    ----------
    model_ : Model
        After `fit(orders)`: the trained model.
    booster_ : lightgbm.Booster
        After `fit(table, y)`: the trees.

    """

    def __init__(
        self,
        horizon_days: int = 90,
        periods: int = 4,
        cutoff: Instant | None = None,
        effort: str = "standard",
        parameters: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(horizon_days, cutoff, effort, parameters, random_state)
        self.periods = periods

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on orders (no `y`), or on a table of numeric features with the amounts `y`.

        The columns customer_id, cutoff, next_spend and churned of a table are left out.
        """
        if y is None:
            self._train(X, periods=self.periods)
            return self
        table, target = self._read_table(X, y, y_numeric=True)
        target = np.asarray(target, dtype=np.float64)
        is_amount = bool((target >= 0).all() and target.sum() > 0)
        self._boost(table, target, "tweedie" if is_amount else "regression")
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """CLV of each customer in customer_id order (orders), or the amount of each row (table)."""
        return self._score(X, "clv") if self._is_of_orders() else self._predict_rows(X)


class ChurnClassifier(ClassifierMixin, _Boosted):  # type: ignore[misc]
    """Probability that a customer does not order within the horizon.

    Parameters
    ----------
    horizon_days : int, default 90
        Length of the window, in days.
    cutoff : str, date or datetime, optional
        With orders: the first instant that is not observed, in `fit` and `predict`.
    effort : str, default "standard"
        With orders: quick, standard or thorough.
    parameters : mapping, optional
        LightGBM parameters that replace clvcast's defaults.
    random_state : int, default 0
        Seed.

    Attributes
    ----------
    classes_ : ndarray
        Two classes; False and True (churned) with orders.
    model_ : Model
        After `fit(orders)`: the trained model.
    booster_ : lightgbm.Booster
        After `fit(table, y)`: the trees.

    """

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on orders (no `y`), or on a table of numeric features with two classes `y`.

        The columns customer_id, cutoff, next_spend and churned of a table are left out.
        """
        if y is None:
            self._train(X)
            self.classes_ = np.array([False, True])
            return self
        table, target = self._read_table(X, y)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass"
            )
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        self._boost(table, codes.astype(np.float64), "binary")
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Probability of both classes: per customer in customer_id order, or per row."""
        of_orders = self._is_of_orders()
        second = self._score(X, "churn_probability") if of_orders else self._predict_rows(X)
        return np.column_stack((1.0 - second, second))

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The more probable class."""
        is_second = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[is_second.astype(np.int64)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _drop_keys(table: Any) -> Any:
    """A table without the columns that are no features."""
    if not isinstance(table, pd.DataFrame):
        return table
    return table.drop(columns=[*_KEYS, *_OUTCOMES], errors="ignore")
