"""The dictionary beside tables: name, unit, basis and definition of every column."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from ..models.forecast_terms import ForecastTerms

__all__ = ["DEFINITIONS", "build_dictionary"]

# column | unit | basis | definition; `clv` stands for the basis of the forecasts,
# `compared` for that of two that are compared
_TEXT = """
dimension|text||how customers are grouped
group|text||the group
level|text||shop, channel, month, or month of a channel
channel|text||channel of the first order
month|text||calendar month of the first order
cohort|text||calendar month of the first order
list|text||the campaign list
lever|text||what changes, alone
change|text||by how much it changes
basis|text||what amounts without a basis of their own are: revenue, margin or contribution
stake|text||what value_at_stake is
aim|text||what a backtest counts: money that came (grow) or stayed away (keep)
verdict|text||of LTV:CAC: healthy, thin, loses money; not sure where the interval holds two
reason|text||why the customer is on the list
suggested_date|date||when to contact the customer
from|date||first day of the measured periods
until|date||day after the last of the measured periods
is_circular|yes or no||the group was made from the behaviour that its churn measures
is_left_truncated|yes or no||the month may hold old customers
is_whole|yes or no||the month is over
is_realised|yes or no||nothing of it is forecast
payback_is_realised|yes or no||the spend was paid back before the cutoff
reached|yes or no||the spend was paid back
customer_id|text||the customer
priority|count||place on the list, 1 is first
period_days|days||length of a period
age_days|days||age from the first order
age_months|months||age in calendar months from the first order
ltv_age_days|days||age at which LTV is taken
payback_month|months||first month of age in which the cumulated value reaches the spend
payback_month_90|months||first month of age by which that is 90 % sure
customers|count||customers of the group
new_customers|count||customers with their first order in the measured time, old customers left out
active_customers|count||customers who ordered in the month
active_customer_periods|count||customers who ordered in a period, added up over the periods
customers_at_start|count||customers who ordered in the period before, added up
customers_lost|count||those of them who did not order in the period
customers_without_spend|count||new customers of months without stated spend, left out
customers_left_truncated|count||customers of months that may hold old ones, left out
past_customers|count||customers on the past list
held_out|count||customers on the list whom nobody contacts
n_orders|count||orders before the cutoff
orders|count||orders in the measured periods
purchase_frequency|orders||orders per customer who ordered, per period
expected_lifetime|periods||1 / churn_rate, or as configured
churn_rate|share||customers of one period without an order in the next
churn_probability|share||mean probability of no order in the next period
repeat_rate|share||customers with two orders or more
one_time_share|share||customers with one order
retention|share||customers of the cohort who ordered in the month
gross_margin|share||(amount - cost) / amount of sold lines with a known cost
margin_rate|share||gross_margin where cost is known, else the margin of the forecasts
realised_share|share||customers who had this age at the cutoff
largest_customer_share|share||share of LTV that the largest customer brings
share_of_clv|share||value / CLV of the group
payback_probability|share||probability of reaching the spend by payback_month
probability_within_mark|share||probability of payback within acquisition.payback_months
chance|share||forecast probability of payback
customer_share|share||customers of the past list / all customers
money_share|share||money of the past list / all such money
lift|ratio||money_share / customer_share
multiple|ratio||cost, as a multiple of the value forecast
ltv_cac|ratio|clv|ltv / CAC
ltv_cac_historic|ratio|clv|ltv_historic / CAC
ltv_cac_forecast|ratio|clv|ltv_forecast / CAC
ltv_cac_forecast_lower|ratio|clv|lower end of its 90 % interval
ltv_cac_forecast_upper|ratio|clv|upper end of its 90 % interval
ltv_cac_without_largest|ratio|clv|the same without the largest customer
ltv_cac_fully_loaded|ratio|clv|LTV:CAC with unattributed_spend
revenue|money|revenue|amounts less returns
aov|money|revenue|revenue / orders
customer_value|money|revenue|aov x purchase_frequency
formula_clv|money|revenue|customer_value x expected_lifetime
arpu|money|revenue|revenue / customer / month since the first order
formula_clv_margin|money|margin|formula_clv x margin; empty where no margin is known
ltv_by_churn|money|margin|arpu x margin_rate / churn per month; empty where no margin is known
formula_clv_span|money|clv|formula CLV over the span of the forecast, discounted
clv|money|clv|forecast CLV per customer
clv_total|money|clv|forecast CLV of the group
clv_total_lower|money|clv|lower end of its 90 % interval
clv_total_upper|money|clv|upper end of its 90 % interval
clv_less_formula|money|clv|clv - formula_clv_span
expected_spend_total|money|spend|expected spend in the next period
spend|money|stated|revenue in `triangles`; elsewhere acquisition spend
cumulated_spend|money|revenue|revenue of the cohort so far
cumulated_spend_per_customer|money|revenue|the same per customer
cac|money|cost|spend / new customers
unattributed_spend|money|cost|spend of channels without new customers
cac_fully_loaded|money|cost|CAC with unattributed_spend
ltv|money|clv|value per customer up to the age
ltv_realised|money|clv|what of it was brought before the cutoff
ltv_lower|money|clv|lower end of its 90 % interval
ltv_upper|money|clv|upper end of its 90 % interval
ltv_historic|money|clv|value per customer up to ltv_age_days, before the cutoff
ltv_forecast|money|clv|ltv_historic plus what is forecast up to ltv_age_days
ltv_forecast_lower|money|clv|lower end of its 90 % interval
ltv_forecast_upper|money|clv|upper end of its 90 % interval
most_to_break_even|money|clv|ltv_forecast: a higher CAC loses money
most_for_ratio|money|clv|ltv_forecast / acquisition.healthy_ratio
most_for_payback|money|clv|value expected within acquisition.payback_months
most_to_pay|money|clv|the smaller of the last two
margin_per_customer|money|clv|value per customer up to the month of age
realised_per_customer|money|clv|what of it was brought before the cutoff
needed|money|clv|cost that must be paid back
value|money|clv|what the change adds to CLV
value_at_stake|money|stated|see stake and basis in `summary`
value_if_kept|money|clv|CLV per customer, given an order in the next period
most_to_keep_one|money|clv|value_if_kept - clv = churn probability x retention value, at most
retention_value|money|clv|CLV given an order in the next period, less CLV given none
most_to_keep_all|money|clv|the same for all customers of the group
step|text||what moves the total from forecast A to forecast B; A and B themselves stand at the ends
segment|text||the segment, by the classes of A and B
migration.from|text||the class in forecast A
to|text||the class in forecast B
amount|money|compared|what the step moves
before|money|compared|the customer's value in forecast A
after|money|compared|the customer's value in forecast B
rose.change|money|compared|after - before
fell.change|money|compared|after - before
value_before|money|compared|value in forecast A of these customers
value_after|money|compared|value in forecast B of these customers
cutoff|date||cutoff of the forecasts
part|text||how customers are grouped; all: not at all
matured.value|text||the group
forecast|money|spend|expected spend in the window
actual|money|spend|spend in the window
lower|money|spend|lower end of the 90 % interval of the total
upper|money|spend|upper end of the 90 % interval of the total
bias|share||forecast / actual - 1
churn_forecast|share||mean probability of no order
churn_actual|share||customers without an order
calibration|share||mean gap between churn probability and what happened, in ten groups
coverage|share||customers whose spend is within their 90 % interval
capture|share||share of the spend that the tenth with the highest forecasts brought
capture_of_perfect|share||the same, beside the tenth that brought most
bias_by_chance|share||bias that luck alone may make
calibration_by_chance|share||calibration that luck alone may make
capture_by_chance|share||loss of capture_of_perfect that luck alone may make
name|text||what is watched
findings.value|number||the number, as the sentence says it
bound|number||above it, less chance, the number alarms; above half of it it warns
severity|text||fine, warning or alarm
sentence|text||the finding in words
findings.chance|number||what luck alone makes of the number
"""
DEFINITIONS: Mapping[str, tuple[str, str, str]] = {
    cells[0]: (cells[1], cells[2], cells[3])
    for cells in (line.split("|") for line in _TEXT.strip().splitlines())
}


def build_dictionary(
    tables: Mapping[str, pd.DataFrame | pa.Table],
    terms: ForecastTerms | None,
    compared: tuple[str, str] = ("unknown", ""),
) -> pd.DataFrame:
    """One row per table and column: table, column, unit, basis, definition.

    `compared` is the basis and currency of two forecasts that are compared.
    """
    clv, spend, currency = (
        ("unknown", "unknown", compared[1])
        if terms is None
        else (terms.basis, terms.spend_basis, terms.currency)
    )
    bases = {"clv": clv, "spend": spend, "compared": compared[0]}
    rows = []
    for name, table in tables.items():
        columns = table.column_names if isinstance(table, pa.Table) else list(table.columns)
        for column in columns:
            unit, basis, definition = _define(name, column)
            unit = currency or "money" if unit == "money" else unit
            rows.append((name, column, unit, bases.get(basis, basis), definition))
    return pd.DataFrame(rows, columns=["table", "column", "unit", "basis", "definition"])


def _define(table: str, column: str) -> tuple[str, str, str]:
    """A column's unit, basis and definition: of its table, or kind of table, if it has its own."""
    kind = table.split("_")[0]
    return DEFINITIONS.get(f"{kind}.{column}") or DEFINITIONS[column]
