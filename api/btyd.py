"""BTYD models as lifetimes and pymc-marketing users know them: BG/NBD, Pareto/NBD, Gamma-Gamma.

Time is in days, or in any other unit that recency and T share. The fits and formulas are those of
clvcast's own model.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from scipy.special import betaln
from scipy.stats import nbinom, norm

from ..errors import ConfigError, OrdersError, quote
from ..features.recency_frequency import OrderDays
from ..models.btyd import forecasts
from ..orders.columns import Float64
from ..train.btyd.fitting import Kind, fit_order_model, fit_value_model
from ..train.btyd.standard_errors import estimate_order_errors, estimate_value_errors
from .btyd_inputs import (
    check_count,
    check_number,
    read_column,
    read_order_days,
    read_order_values,
)

__all__ = ["BGNBD", "GammaGamma", "ParetoNBD"]

_PARTS = 1_000.0  # of a unit of time, to which times that are not whole are rounded
# units of time in a month of `customer_lifetime_value`, as in lifetimes 0.11.3
_MONTH = {"H": 720.0, "D": 30.0, "W": 4.345, "M": 1.0}


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
            If these customers do not identify the model, or a column is not of numbers.
        ConfigError
            If penalizer_coef is not a finite number of at least 0.

        """
        penalty = check_number("penalizer_coef", self.penalizer_coef)
        days = read_order_days(frequency, recency, T)
        factor = _find_factor(days)
        days = OrderDays.of(
            days.n_repeat_days,
            days.active_days * factor,
            days.tenure_days * factor,
            days.repeat_value,
        )
        fitted = fit_order_model(days, self._kind, penalty)
        if fitted.fell_back:
            raise OrdersError(
                f"these customers do not identify {self._kind}: the likelihood has no maximum; "
                "give more history, or a penalizer_coef such as 0.01"
            )
        errors = estimate_order_errors(days, fitted.model, penalty)
        numbers = fitted.model.model_dump()
        times: dict[str, Any] = {
            name: numbers[name] / factor for name in ("alpha", "beta") if name in numbers
        }
        self.model_ = fitted.model.model_copy(update=times)
        self.params_ = pd.Series(self.model_.model_dump(exclude={"kind"}), dtype=np.float64)
        errors |= {name: errors[name] / factor for name in times}
        self.standard_errors_ = pd.Series(errors, dtype=np.float64)
        repeats = float(days.n_repeat_days.sum())
        self.log_likelihood_ = fitted.log_likelihood + repeats * float(np.log(factor))
        return self

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with standard errors and 95 % bounds, as in lifetimes."""
        self._fitted()
        return _summarize(self.params_, self.standard_errors_)

    def probability_alive(self, frequency: Any, recency: Any, T: Any) -> Float64:  # noqa: N803
        """Probability that each customer has not left by the end of observation."""
        return forecasts.predict_alive_probability(
            self._fitted(), read_order_days(frequency, recency, T)
        )

    def expected_purchases(
        self,
        t: float,
        frequency: Any,
        recency: Any,
        T: Any,  # noqa: N803
    ) -> Float64:
        """Expected number of order days of each customer in the next `t` days."""
        model, horizon = self._fitted(), check_number("t", t)
        days = read_order_days(frequency, recency, T)
        return forecasts.predict_order_days(model, days, horizon)

    def _fitted(self) -> forecasts.Nbd | forecasts.BgNbd | forecasts.ParetoNbd:
        if not hasattr(self, "model_"):
            raise ConfigError(f"{type(self).__name__} is not fitted; call fit first")
        return self.model_

    def __repr__(self) -> str:
        return _describe(self)


class BGNBD(_OrderModel):
    """BG/NBD: order rate ~ Gamma(r, alpha), chance to leave after each order ~ Beta(a, b).

    Fader, Hardie and Lee (2005). The counterpart of `lifetimes.BetaGeoFitter`.

    Parameters
    ----------
    penalizer_coef : float, default 0
        Penalty on the squared parameters, as in lifetimes.

    """

    _kind = "bg_nbd"

    def probability_of_purchases(self, n: int, T: Any) -> Float64:  # noqa: N803
        """Probability that a new customer has `n` repeat days within `T`.

        The counterpart of `probability_of_n_purchases_up_to_time(T, n)` (Fader, Hardie and Lee
        2005, equation 8). Summed over customers it is the expected number with `n` repeats.
        """
        model = self._fitted()
        if not isinstance(model, forecasts.BgNbd):  # no other is kept by fit
            raise ConfigError("the fitted model must be BG/NBD")
        n, tenure = check_count("n", n), read_column("T", T)
        none_left = betaln(model.a, model.b)
        # orders of a customer who stays: negative binomial
        count = nbinom(model.r, model.alpha / (model.alpha + tenure))
        staying = np.exp(betaln(model.a, model.b + n) - none_left) * count.pmf(n)
        if not n:
            return np.asarray(staying)
        leaving = np.exp(betaln(model.a + 1, model.b + n - 1) - none_left)
        return np.asarray(staying + leaving * count.sf(n - 1))


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
            If these customers do not identify the model, or a column is not of numbers.
        ConfigError
            If penalizer_coef is not a finite number of at least 0.

        """
        penalty = check_number("penalizer_coef", self.penalizer_coef)
        days = read_order_values(frequency, monetary_value)
        fitted = fit_value_model(days, penalty=penalty)
        if not fitted.converged:
            raise OrdersError(
                "these customers do not identify Gamma-Gamma: the likelihood has no maximum; give "
                "more customers with repeat orders"
            )
        self.model_ = fitted.model
        self.params_ = pd.Series(fitted.model.model_dump(), dtype=np.float64)
        errors = estimate_value_errors(days, fitted.model, penalty)
        self.standard_errors_ = pd.Series(errors, dtype=np.float64)
        return self

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with standard errors and 95 % bounds, as in lifetimes."""
        self._fitted()
        return _summarize(self.params_, self.standard_errors_)

    def expected_average_value(self, frequency: Any, monetary_value: Any) -> Float64:
        """Expected mean value of each customer's order days."""
        return forecasts.predict_order_value(
            self._fitted(), read_order_values(frequency, monetary_value)
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
        freq: Literal["H", "D", "W", "M"] = "D",
    ) -> Float64:
        """Discounted value of each customer over `time` months, as in lifetimes.

        `freq` is the unit of recency and T: hours, days, weeks or months. A month has 720 hours,
        30 days or 4.345 weeks. `discount_rate` is of a month; the value of month k is divided by
        (1 + rate)^k.
        """
        month_length = _MONTH.get(freq) if isinstance(freq, str) else None
        if month_length is None:
            raise ConfigError(
                f"freq must be {', '.join(_MONTH)}, got {quote(freq)}; give the unit of recency "
                "and T: hours, days, weeks or months"
            )
        n_months, rate = check_count("time", time), check_number("discount_rate", discount_rate)
        value = self.expected_average_value(frequency, monetary_value)
        total, before = np.zeros(len(value)), np.zeros(len(value))
        for month in range(1, n_months + 1):
            until = order_model.expected_purchases(month * month_length, frequency, recency, T)
            total = total + value * (until - before) / (1.0 + rate) ** month
            before = until
        return np.asarray(total)

    def _fitted(self) -> forecasts.GammaGamma:
        if not hasattr(self, "model_"):
            raise ConfigError("GammaGamma is not fitted; call fit first")
        return self.model_

    def __repr__(self) -> str:
        return _describe(self)


def _describe(model: Any) -> str:
    """A line for consoles: what is fitted, else the setting."""
    name = type(model).__name__
    if not hasattr(model, "params_"):
        return f"{name}(penalizer_coef={model.penalizer_coef})"
    values = ", ".join(f"{key}: {value:.4g}" for key, value in model.params_.items())
    return f"<{name} fitted: {values}>"


def _summarize(parameters: pd.Series[float], errors: pd.Series[float]) -> pd.DataFrame:
    margin = float(norm.ppf(0.975)) * errors
    return pd.DataFrame(
        {
            "coef": parameters,
            "se(coef)": errors,
            "lower 95% bound": parameters - margin,
            "upper 95% bound": parameters + margin,
        }
    )


def _find_factor(days: OrderDays) -> float:
    """What times are multiplied by to be whole: fits group whole numbers; 1 for days."""
    times = np.concatenate((days.active_days, days.tenure_days))
    return 1.0 if np.array_equal(times, np.rint(times)) else _PARTS
