"""BTYD models as lifetimes and pymc-marketing users know them: BG/NBD, Pareto/NBD, Gamma-Gamma.

Time is in days, or in any other unit that recency and T share. The fits and formulas are those of
clvcast's own model.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError, OrdersError
from ..features.recency_frequency import OrderDays
from ..models.btyd import forecasts
from ..orders.columns import Float64
from ..train.btyd.fitting import Kind, fit_order_model, fit_value_model

__all__ = ["BGNBD", "GammaGamma", "ParetoNBD"]

_PARTS = 1_000.0  # of a unit of time, to which times that are not whole are rounded
_PERIOD_DAYS = 30.0  # of `customer_lifetime_value`: a month, as in lifetimes


class _OrderModel:
    """What the models of orders share; `fit` comes first."""

    _kind: Kind

    def __init__(self, penalizer_coef: float = 0.0) -> None:
        self.penalizer_coef = penalizer_coef

    def fit(self, frequency: Any, recency: Any, T: Any) -> Self:  # noqa: N803  # lifetimes' name
        """Fit the parameters by maximum likelihood.

        Parameters
        ----------
        frequency, recency, T : array-like
            The columns of `rfm_summary`.

        Returns
        -------
        self

        Raises
        ------
        OrdersError
            If these customers do not identify the model.

        """
        days = _read_order_days(frequency, recency, T)
        factor = _find_factor(days)
        days = OrderDays.of(
            days.n_repeat_days,
            days.active_days * factor,
            days.tenure_days * factor,
            days.repeat_value,
        )
        fitted = fit_order_model(days, self._kind, self.penalizer_coef)
        if fitted.fell_back:
            raise OrdersError(
                f"these customers do not identify {self._kind}: the likelihood has no maximum; "
                "give more history, or a penalizer_coef such as 0.01"
            )
        numbers = fitted.model.model_dump()
        times: dict[str, Any] = {
            name: numbers[name] / factor for name in ("alpha", "beta") if name in numbers
        }
        self.model_ = fitted.model.model_copy(update=times)
        self.params_ = pd.Series(self.model_.model_dump(exclude={"kind"}), dtype=np.float64)
        repeats = float(days.n_repeat_days.sum())
        self.log_likelihood_ = fitted.log_likelihood + repeats * float(np.log(factor))
        return self

    def probability_alive(self, frequency: Any, recency: Any, T: Any) -> Float64:  # noqa: N803
        """Probability that each customer has not left by the end of observation."""
        return forecasts.predict_alive_probability(
            self._fitted(), _read_order_days(frequency, recency, T)
        )

    def expected_purchases(
        self,
        t: float,
        frequency: Any,
        recency: Any,
        T: Any,  # noqa: N803
    ) -> Float64:
        """Expected number of order days of each customer in the next `t` days."""
        days = _read_order_days(frequency, recency, T)
        return forecasts.predict_order_days(self._fitted(), days, float(t))

    def _fitted(self) -> forecasts.Nbd | forecasts.BgNbd | forecasts.ParetoNbd:
        if not hasattr(self, "model_"):
            raise ConfigError(f"{type(self).__name__} is not fitted; call fit first")
        return self.model_

    def __repr__(self) -> str:
        if not hasattr(self, "params_"):
            return f"{type(self).__name__}(penalizer_coef={self.penalizer_coef})"
        values = ", ".join(f"{name}: {value:.4g}" for name, value in self.params_.items())
        return f"<{type(self).__name__} fitted: {values}>"


class BGNBD(_OrderModel):
    """BG/NBD: order rate ~ Gamma(r, alpha), chance to leave after each order ~ Beta(a, b).

    Fader, Hardie and Lee (2005). The counterpart of `lifetimes.BetaGeoFitter`.

    Parameters
    ----------
    penalizer_coef : float, default 0
        Penalty on the squared parameters, as in lifetimes.

    """

    _kind = "bg_nbd"


class ParetoNBD(_OrderModel):
    """Pareto/NBD: order rate ~ Gamma(r, alpha), rate of leaving ~ Gamma(s, beta).

    Schmittlein, Morrison and Colombo (1987). The counterpart of `lifetimes.ParetoNBDFitter`.

    Parameters
    ----------
    penalizer_coef : float, default 0
        Penalty on the squared parameters, as in lifetimes.

    """

    _kind = "pareto_nbd"


class GammaGamma:
    """Gamma-Gamma: the value of an order day of each customer.

    Fader and Hardie (2013). The counterpart of `lifetimes.GammaGammaFitter`.

    Parameters
    ----------
    penalizer_coef : float, default 0
        Penalty on the squared parameters, as in lifetimes.

    """

    def __init__(self, penalizer_coef: float = 0.0) -> None:
        self.penalizer_coef = penalizer_coef

    def fit(self, frequency: Any, monetary_value: Any) -> Self:
        """Fit the parameters by maximum likelihood, on customers with a repeat of positive value.

        Parameters
        ----------
        frequency, monetary_value : array-like
            Columns of `rfm_summary`.

        Returns
        -------
        self

        Raises
        ------
        OrdersError
            If these customers do not identify the model.

        """
        fitted = fit_value_model(
            _read_order_values(frequency, monetary_value), penalty=self.penalizer_coef
        )
        if not fitted.converged:
            raise OrdersError(
                "these customers do not identify Gamma-Gamma: the likelihood has no maximum; give "
                "more customers with repeat orders"
            )
        self.model_ = fitted.model
        self.params_ = pd.Series(fitted.model.model_dump(), dtype=np.float64)
        return self

    def expected_average_value(self, frequency: Any, monetary_value: Any) -> Float64:
        """Expected mean value of each customer's order days."""
        return forecasts.predict_order_value(
            self._fitted(), _read_order_values(frequency, monetary_value)
        )

    def customer_lifetime_value(
        self,
        order_model: _OrderModel,
        frequency: Any,
        recency: Any,
        T: Any,  # noqa: N803
        monetary_value: Any,
        time: int = 12,
        discount_rate: float = 0.01,
    ) -> Float64:
        """Discounted value of each customer over `time` months of 30 days, as in lifetimes.

        `discount_rate` is of a month; the value of month k is divided by (1 + rate)^k.
        """
        value = self.expected_average_value(frequency, monetary_value)
        total, before = np.zeros(len(value)), np.zeros(len(value))
        for month in range(1, time + 1):
            until = order_model.expected_purchases(month * _PERIOD_DAYS, frequency, recency, T)
            total = total + value * (until - before) / (1.0 + discount_rate) ** month
            before = until
        return np.asarray(total)

    def _fitted(self) -> forecasts.GammaGamma:
        if not hasattr(self, "model_"):
            raise ConfigError("GammaGamma is not fitted; call fit first")
        return self.model_


def _read(values: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1 or not np.isfinite(array).all():
        raise OrdersError(
            "frequency, recency, T and values must be columns of finite numbers; drop missing ones"
        )
    return np.atleast_1d(array)


def _read_order_days(frequency: Any, recency: Any, tenure: Any) -> OrderDays:
    repeats, active, tenures = np.broadcast_arrays(*map(_read, (frequency, recency, tenure)))
    return OrderDays.of(repeats, active, tenures, np.zeros(len(repeats)))


def _find_factor(days: OrderDays) -> float:
    """What times are multiplied by to be whole: fits group whole numbers; 1 for days."""
    times = np.concatenate((days.active_days, days.tenure_days))
    return 1.0 if np.array_equal(times, np.rint(times)) else _PARTS


def _read_order_values(frequency: Any, monetary_value: Any) -> OrderDays:
    repeats, value = np.broadcast_arrays(_read(frequency), _read(monetary_value))
    none = np.zeros(len(repeats))
    return OrderDays.of(repeats, none, none, value)
