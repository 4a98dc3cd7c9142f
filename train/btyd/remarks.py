"""What is to be said of the BTYD fits behind a model: where one fell back, or stands at a bound."""

from __future__ import annotations

from collections.abc import Sequence

from ...orders.reading.validation_issues import join_words
from .fitting import FittedOrders, FittedValue, Kind

__all__ = ["describe_btyd_fits"]

_NAMES: dict[Kind, str] = {"pareto_nbd": "Pareto/NBD", "bg_nbd": "BG/NBD", "nbd": "NBD"}


def describe_btyd_fits(
    fits: Sequence[FittedOrders], chosen: FittedOrders, values: FittedValue
) -> tuple[str, ...]:
    """A sentence for each thing that is not as asked; empty where every fit is a free maximum.

    `chosen` is the one of `fits` that the blend uses, `values` the fit of order values.
    """
    found = [_of_orders(fit, is_used=fit is chosen) for fit in fits]
    found.append(_of_values(values))
    return tuple(sentence for sentence in found if sentence)


def _of_orders(fit: FittedOrders, *, is_used: bool) -> str | None:
    asked = _NAMES[fit.asked]
    used = "the model in use" if is_used else "not used"
    if not fit.converged:
        what = "the mean rate of all customers stands in"
        weight = ", and BTYD weighs nothing beside the trees" if is_used else ""
        return f"BTYD: {asked} could not be fitted to these orders; {what} ({used}){weight}"
    if fit.fell_back:
        stand_in = _NAMES[fit.model.kind]
        return f"BTYD: {asked} has no maximum on these orders; {stand_in} stands in ({used})"
    if fit.at_bound:
        return (
            f"BTYD: {asked} stands at the bound of {join_words(list(fit.at_bound))}: these orders do not "
            f"tell how customers differ in it ({used})"
        )
    return None


def _of_values(values: FittedValue) -> str | None:
    if not values.converged:
        return (
            "BTYD: Gamma-Gamma could not be fitted to the order values; a wide stand-in around the "
            "typical order value is used"
        )
    if values.at_bound:
        return f"BTYD: Gamma-Gamma stands at the bound of {join_words(list(values.at_bound))}"
    return None
