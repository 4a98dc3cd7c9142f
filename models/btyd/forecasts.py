"""BTYD ("buy till you die"): forecasts of order days and order values.

A customer orders at random at a rate of its own until, unseen, it leaves for good:

    Nbd        rate ~ Gamma(r, alpha); nobody leaves                               (Ehrenberg 1959)
    BgNbd      the same; leaves after an order, chance p ~ Beta(a, b)      (Fader, Hardie, Lee 2005)
    ParetoNbd  the same; leaves at a rate ~ Gamma(s, beta)     (Schmittlein, Morrison, Colombo 1987)
    GammaGamma order values ~ Gamma(p, nu), nu ~ Gamma(q, v)               (Fader and Hardie 2013)

Histories are `OrderDays` (x, t_x and T of the literature); time is in days. The customary formulas
hold Gauss's hypergeometric function, which loses all digits for long histories and small or large
parameters. Here each is rewritten as an integral of a positive, bounded and smooth function, so
that nothing cancels, probabilities stay in [0, 1] and expectations never fall with the horizon. All
functions are elementwise: a row's numbers do not depend on the other rows, to the last bit.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...features.recency_frequency import OrderDays
from ...orders.columns import Float64
from .bg_nbd_integral import expect_orders_if_alive
from .pareto_nbd_integral import compute_first_event_probability

__all__ = [
    "BgNbd",
    "GammaGamma",
    "Nbd",
    "OrderModel",
    "ParetoNbd",
    "compute_log_odds_gone",
    "predict_alive_probability",
    "predict_later_order_days",
    "predict_order_days",
    "predict_order_days_by_period",
    "predict_order_outlook",
    "predict_order_probability",
    "predict_order_value",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nbd(_Parameters):
    """Order rate ~ Gamma(r, alpha): its mean is r / alpha order days a day."""

    kind: Literal["nbd"] = "nbd"
    r: Positive
    alpha: Positive


class BgNbd(_Parameters):
    """Order rate ~ Gamma(r, alpha); chance to leave after each order day ~ Beta(a, b)."""

    kind: Literal["bg_nbd"] = "bg_nbd"
    r: Positive
    alpha: Positive
    a: Positive
    b: Positive


class ParetoNbd(_Parameters):
    """Order rate ~ Gamma(r, alpha); rate of leaving ~ Gamma(s, beta)."""

    kind: Literal["pareto_nbd"] = "pareto_nbd"
    r: Positive
    alpha: Positive
    s: Positive
    beta: Positive


OrderModel = Annotated[Nbd | BgNbd | ParetoNbd, Field(discriminator="kind")]


class GammaGamma(_Parameters):
    """Order values: mean of the base p v / (q - 1), hence q > 1."""

    p: Positive
    q: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    v: Positive


def predict_alive_probability(model: Nbd | BgNbd | ParetoNbd, days: OrderDays) -> Float64:
    """P(the customer has not left by the end of its tenure): n_rows, in [0, 1].

    BgNbd lets nobody leave before the first repeat: 1 for one-time buyers, whatever their silence.
    For churn take 1 - `predict_order_probability`.
    """
    return np.asarray(np.exp(-np.logaddexp(0.0, compute_log_odds_gone(model, days))))


def compute_log_odds_gone(model: Nbd | BgNbd | ParetoNbd, days: OrderDays) -> Float64:
    """Log-odds of having left by the end of the tenure: n_rows, -inf where it is impossible."""
    x, active, tenure = days.n_repeat_days, days.active_days, days.tenure_days
    if isinstance(model, Nbd):
        return np.full(len(x), -np.inf)
    silence = tenure - active
    unlikely = (model.r + x) * np.log1p(silence / (model.alpha + active))  # the silence, if alive
    if isinstance(model, BgNbd):
        # left right after the newest order: B(a + 1, b + x - 1) / B(a, b + x) = a / (b + x - 1)
        chance = np.log(model.a) - np.log(model.b + np.maximum(x, 1.0) - 1.0)
        return np.asarray(np.where(x > 0, chance + unlikely, -np.inf))
    unlikely = unlikely + model.s * np.log1p(silence / (model.beta + active))
    left = compute_first_event_probability(
        np.full(len(x), model.s), model.beta + active, model.r + x, model.alpha + active, silence
    )
    with np.errstate(divide="ignore"):  # no silence: log 0
        return np.asarray(np.log(left) + unlikely)


def predict_order_probability(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float
) -> Float64:
    """P(at least one order day within `horizon_days` after the tenure): n_rows, in [0, 1]."""
    return predict_alive_probability(model, days) * _order_probability_if_alive(
        model, days, horizon_days
    )


def _order_probability_if_alive(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float
) -> Float64:
    rate_shape = model.r + days.n_repeat_days
    scale = model.alpha + days.tenure_days
    if isinstance(model, ParetoNbd):
        n = len(scale)
        return compute_first_event_probability(
            rate_shape,
            scale,
            np.full(n, model.s),
            model.beta + days.tenure_days,
            np.full(n, float(horizon_days)),
        )
    # nobody leaves between two orders
    return np.asarray(-np.expm1(-rate_shape * np.log1p(horizon_days / scale)))


def predict_order_days(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float
) -> Float64:
    """E[order days within `horizon_days` after the tenure]: n_rows, >= P(an order)."""
    expected = _expect_if_alive(model, days, horizon_days)[0]
    return np.asarray(predict_alive_probability(model, days) * expected)


def predict_order_outlook(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float
) -> tuple[Float64, Float64]:
    """`predict_order_probability` and `predict_order_days`, for those who want both."""
    alive = predict_alive_probability(model, days)
    return (
        alive * _order_probability_if_alive(model, days, horizon_days),
        alive * _expect_if_alive(model, days, horizon_days)[0],
    )


def predict_order_days_by_period(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float, periods: int
) -> Float64:
    """E[order days in (horizon (k - 1), horizon k]] for k = 1..periods: n_rows x periods, >= 0."""
    alive = predict_alive_probability(model, days)
    until = alive * _expect_if_alive(model, days, *(horizon_days * k for k in range(periods + 1)))
    return np.maximum(np.diff(until, axis=0).T, 0.0)


def predict_later_order_days(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon_days: float, periods: int
) -> tuple[Float64, Float64]:
    """E[order days] in periods 2..periods: n_rows x (periods - 1), and beside those of the first.

    The second is `E_k / E_1`, n_rows x (periods - 1), in [0, 1]: the chance that the customer has
    left cancels in it, so that it stays sound for customers who are almost surely gone.
    """
    alive = predict_alive_probability(model, days)
    until = _expect_if_alive(model, days, *(horizon_days * k for k in range(1, periods + 1)))
    if_alive = np.maximum(np.diff(until, axis=0).T, 0.0)
    decline = np.minimum(if_alive / np.maximum(until[0], 1e-300)[:, None], 1.0)
    return alive[:, None] * if_alive, decline


def _expect_if_alive(
    model: Nbd | BgNbd | ParetoNbd, days: OrderDays, *horizons_days: float
) -> Float64:
    """E[order days within each horizon] of a customer who is still there: n_horizons x n_rows."""
    horizons = np.array(horizons_days)[:, None]
    if isinstance(model, BgNbd):
        # both are of whole days: a million customers have some ten thousand pairs
        pairs, which = np.unique(days.n_repeat_days + 1j * days.tenure_days, return_inverse=True)
        growth = horizons / (model.alpha + pairs.imag)
        repeats = np.broadcast_to(pairs.real, growth.shape)
        expected = expect_orders_if_alive(
            model.r, model.a, model.b, repeats.ravel(), growth.ravel()
        )
        return np.asarray(expected.reshape(growth.shape)[:, which])
    rate = (model.r + days.n_repeat_days) / (model.alpha + days.tenure_days)
    if isinstance(model, Nbd):
        return np.asarray(rate * horizons)
    # E[rate] x E[(1 - e^(-mu H)) / mu] = E[rate] x (B / (s - 1)) (1 - (B / (B + H))^(s - 1)), where
    # B = beta + T; (e^x - 1) / x passes through s = 1
    scale = model.beta + days.tenure_days
    length = np.log1p(horizons / scale)
    lifetime = scale * length * _exprel((1.0 - model.s) * length)
    return np.asarray(rate * np.minimum(lifetime, horizons))


def _exprel(x: Float64) -> Float64:
    """(e^x - 1) / x, 1 at 0. SciPy's takes longer to load than a shop to score."""
    return np.asarray(np.where(x == 0.0, 1.0, np.expm1(x) / np.where(x == 0.0, 1.0, x)))


def predict_order_value(model: GammaGamma, days: OrderDays) -> Float64:
    """E[value of an order day]: n_rows, > 0; between the base's mean and the customer's own.

    p (v + x m) / (p x + q - 1), Fader and Hardie (2013), equation 5.
    """
    x = days.n_repeat_days
    own_share = model.p * x / (model.p * x + model.q - 1.0)
    return np.asarray(
        (1.0 - own_share) * (model.p * model.v / (model.q - 1.0)) + own_share * days.repeat_value
    )
