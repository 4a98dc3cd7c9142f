"""Every number of kpis, economics, compare, monitor and the report's tiles again, in plain pandas.

Nothing of clvcast computes an expected value here: orders, periods, ages and totals are worked out
from the lines as docs/decisions.md defines them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from forecast_files import forecast_file
from pandas.testing import assert_frame_equal

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.decisions.report.number_format import NumberFormat
from clvcast.models.forecast_terms import ForecastTerms
from clvcast.models.margins import measure_margin
from clvcast.orders import dates

CUTOFF, PAST = pd.Timestamp("2021-03-01"), pd.Timestamp("2020-11-01")
DAY = pd.Timedelta(days=1)
HORIZON, PERIODS, RATE = 60, 4, 0.1
SPAN = HORIZON * PERIODS
MONTH_DAYS = 365.2425 / 12
Frame = pd.DataFrame


@dataclass(frozen=True)
class Shop:
    lines: Frame
    spend: Frame
    margin: float
    source: Literal["stated", "measured", "unknown"]
    forecasts: Frame
    past: Frame
    orders: clvcast.Orders

    @property
    def basis(self) -> str:
        return "revenue" if self.source == "unknown" else "margin"


CONFIG = parse_config("{kpis: {has_all_orders: true}, orders: {currency: EUR}}")


def draw_lines(seed: int, customers: int) -> Frame:
    """Orders of one to three lines with cost, discount and channel; some lines come back."""
    random = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for k in range(customers):
        time = pd.Timestamp("2020-01-05") + random.uniform(0, 400) * DAY
        order = 0
        while time < CUTOFF + 90 * DAY and order < 12:
            channel = ["web", "shop", "app"][int(random.choice(3, p=[0.6, 0.3, 0.1]))]
            at = time.floor("min")
            for _ in range(random.integers(1, 4)):
                amount = round(float(random.lognormal(3, 0.8)), 2)
                cost = round(amount * random.uniform(0.4, 0.9), 2)
                if random.random() < 0.2:
                    cost = math.nan
                discount = round(amount * 0.1, 2)
                rows.append((f"c{k:04d}", at, amount, f"o{order}", channel, cost, discount))
                if random.random() < 0.1:
                    back = (at + 5 * DAY, -amount, f"r{order}", channel, cost, discount)
                    rows.append((f"c{k:04d}", *back))
            order += 1
            time += random.exponential(random.choice([20, 60, 200])) * DAY + 1 * DAY
    # one who only returns goods between the two cutoffs
    for amount, day, name in ((90.0, "2020-06-02", "o0"), (-35.5, "2020-12-02", "r0")):
        rows.append(("back", pd.Timestamp(day), amount, name, "web", 50.0, 0.0))
    columns = "customer_id ordered_at amount order_id channel cost discount"
    return pd.DataFrame(rows, columns=columns.split())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, "stated"), marks=pytest.mark.slow),
        (1, "unknown"),
        pytest.param((1, "measured"), marks=pytest.mark.slow),
        pytest.param((2, "measured"), marks=pytest.mark.slow),
    ],
    ids=lambda param: f"shop {param[0]}, margin {param[1]}",
)
def shop(request: pytest.FixtureRequest) -> Shop:
    seed, source = request.param
    lines = draw_lines(seed, 80 * seed)
    sold = lines[(lines["ordered_at"] < CUTOFF) & (lines["amount"] > 0) & lines["cost"].notna()]
    measured = 1 - sold["cost"].sum() / sold["amount"].sum()
    margin = {"stated": 0.4, "measured": measured, "unknown": 1.0}[source]
    orders = clvcast.read_orders(lines)
    assert measure_margin(orders, dates.parse_instant(CUTOFF)) == pytest.approx(measured, abs=1e-12)
    terms = ForecastTerms(
        horizon_days=HORIZON,
        periods=PERIODS,
        margin_rate=margin,
        margin_source=source,
        annual_discount_rate=RATE,
        target="spend",
        currency="EUR",
    )
    config = parse_config(f"{{horizon_days: {HORIZON}, economics: {{margin_rate: {margin}}}}}")
    files = []
    for cutoff in (CUTOFF, PAST):
        frame = forecast_file(orders, str(cutoff.date()), config)
        frame.attrs |= terms.attributes()
        files.append(frame)
    months = pd.period_range("2020-01", "2021-02", freq="M").astype(str)
    stated = [(c, m, 40.0 + 7 * i) for c in ("web", "shop") for i, m in enumerate(months) if i != 5]
    spend = pd.DataFrame([*stated, ("tv", "2020-08", 99.0)], columns=["channel", "month", "spend"])
    return Shop(lines, spend, margin, source, files[0], files[1], orders)


def build_entries(lines: Frame, until: pd.Timestamp) -> Frame:
    """One row per customer and order id before an instant: net, time and channel of its start."""
    known = lines[lines["ordered_at"] < until].sort_values(
        ["customer_id", "ordered_at"], kind="stable"
    )
    sold = (known["amount"] > 0) & known["cost"].notna()
    known = known.assign(
        costed=known["amount"].where(sold, 0.0), costs=known["cost"].where(sold, 0.0)
    )
    groups = known.groupby(["customer_id", "order_id"], sort=True)
    entries = groups.agg(
        net=("amount", "sum"),
        time=("ordered_at", "min"),
        channel=("channel", "first"),
        costed=("costed", "sum"),
        costs=("costs", "sum"),
    ).reset_index()
    entries["net"] = entries["net"].round(2)
    entries["is_order"] = entries["net"] > 0
    return entries


def build_customers(shop: Shop, entries: Frame) -> Frame:
    """One row per customer with an order, with the forecast beside it."""
    orders = entries[entries["is_order"]].sort_values(["customer_id", "time"], kind="stable")
    firsts = orders.groupby("customer_id")
    customers = pd.DataFrame(
        {
            "first": firsts["time"].min(),
            "channel": firsts["channel"].first(),
            "orders_ever": firsts.size(),
            "revenue_ever": entries.groupby("customer_id")["net"].sum(),
        }
    ).dropna(subset="first")
    customers["cohort"] = customers["first"].dt.to_period("M").astype(str)
    return customers.join(shop.forecasts.set_index("customer_id"))


def count_days(gaps: Any) -> Any:
    return gaps / DAY


def divide(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def bound_total(frame: Frame, apart: float) -> tuple[float, float, float]:
    """Expected total of CLV and its 90 % interval: a lognormal of that mean."""
    total = frame["clv"].sum()
    if total <= 0:
        return 0.0, 0.0, 0.0
    variance = math.log1p((frame["clv_deviation"] ** 2).sum() / total**2)
    variance += frame["clv_shock"].max() ** 2 + apart**2
    low, high = (
        total * math.exp(-variance / 2 + sign * 1.6448536269514722 * math.sqrt(variance))
        for sign in (-1, 1)
    )
    return total, min(low, total), max(high, total)


def measure(shop: Shop, customers: Frame, entries: Frame, apart: float) -> dict[str, float]:
    """The measures of some customers; a period is a horizon, the newest four are pooled."""
    own = entries[entries["customer_id"].isin(customers.index)]
    back = (count_days(CUTOFF - own["time"]) / HORIZON).apply(math.ceil)  # 1: the newest period
    back = back.where(own["time"] < CUTOFF)
    own = own.assign(back=back)
    active = {
        k: set(own.loc[(own["back"] == k) & own["is_order"], "customer_id"]) for k in range(1, 6)
    }
    inside = own[own["back"] <= 4]
    orders, revenue = int(inside["is_order"].sum()), inside["net"].sum()
    periods = sum(len(active[k]) for k in range(1, 5))
    at_start = sum(len(active[k + 1]) for k in range(1, 5))
    lost = sum(len(active[k + 1] - active[k]) for k in range(1, 5))
    aov, frequency, churn = divide(revenue, orders), divide(orders, periods), divide(lost, at_start)
    gross = divide(inside["costed"].sum() - inside["costs"].sum(), inside["costed"].sum())
    known_margin = shop.margin if shop.source != "unknown" else math.nan
    margin = known_margin if math.isnan(gross) else gross
    of_value = margin if shop.source == "unknown" else known_margin
    tenure = (count_days(CUTOFF - customers["first"]) / MONTH_DAYS).sum()
    arpu = divide(customers["revenue_ever"].sum(), tenure)
    lifetime = divide(1.0, churn)
    span = sum((1 - churn) ** k / (1 + RATE) ** (k * HORIZON / 365) for k in range(PERIODS))
    total, low, high = bound_total(customers, apart)
    n = len(customers)
    return {
        "customers": n,
        "new_customers": int((customers["first"] >= CUTOFF - 4 * HORIZON * DAY).sum()),
        "orders": orders,
        "revenue": revenue,
        "aov": aov,
        "purchase_frequency": frequency,
        "margin_rate": margin,
        "churn_rate": churn,
        "gross_margin": gross,
        "active_customer_periods": periods,
        "customers_at_start": at_start,
        "customers_lost": lost,
        "customer_value": aov * frequency,
        "expected_lifetime": lifetime,
        "formula_clv": aov * frequency * lifetime,
        "formula_clv_margin": aov * frequency * lifetime * of_value,
        "formula_clv_span": aov * frequency * shop.margin * span,
        "repeat_rate": divide((customers["orders_ever"] >= 2).sum(), n),
        "one_time_share": 1 - divide((customers["orders_ever"] >= 2).sum(), n),
        "arpu": arpu,
        "ltv_by_churn": divide(arpu * margin, churn * MONTH_DAYS / HORIZON),
        "clv": total / n,
        "clv_total": total,
        "clv_total_lower": low,
        "clv_total_upper": high,
        "expected_spend_total": customers["expected_spend"].sum(),
        "churn_probability": customers["churn_probability"].mean(),
        "clv_less_formula": total / n - aov * frequency * shop.margin * span,
    }


def assert_same(found: pd.Series, expected: dict[str, float]) -> None:
    own = found[list(expected)].astype(float).to_numpy()
    wanted = np.array([float(value) for value in expected.values()])
    far = ~np.isclose(own, wanted, rtol=1e-9, atol=1e-9, equal_nan=True)
    assert not far.any(), pd.DataFrame({"found": own, "expected": wanted}, list(expected))[far]


def pick(customers: Frame, dimension: str, group: str) -> Frame:
    return customers if dimension == "shop" else customers[customers[dimension] == group]


def test_measures(shop: Shop) -> None:
    entries = build_entries(shop.lines, CUTOFF)
    customers = build_customers(shop, entries)
    kpis = clvcast.kpis(shop.forecasts, shop.orders, CONFIG)
    table = kpis.measures
    assert set(table["basis"]) == {shop.basis}
    for dimension in ("shop", "channel", "cohort", "rfm_segment", "tier", "risk"):
        rows = table[table["dimension"] == dimension]
        present = customers[dimension].nunique() if dimension != "shop" else 1
        seen = 0
        for _, row in rows.iterrows():
            inside = pick(customers, dimension, row["group"])
            if len(inside):
                seen += 1
                apart = 0.1 if present > 1 else 0.0
                assert_same(row, measure(shop, inside, entries, apart))
        assert seen == present
    periods = table[table["dimension"] == "period"].set_index("group")
    for k in range(4):
        begin = CUTOFF - (4 - k) * HORIZON * DAY
        measured: Any = periods.loc[str(begin.date())]
        inside = entries[entries["time"].between(begin, begin + HORIZON * DAY, "left")]
        active = set(inside.loc[inside["is_order"], "customer_id"])
        before = entries[entries["time"].between(begin - HORIZON * DAY, begin, "left")]
        came = set(before.loc[before["is_order"], "customer_id"])
        orders = int(inside["is_order"].sum())
        expected = {
            "orders": orders,
            "active_customer_periods": len(active),
            "purchase_frequency": orders / len(active),
            "revenue": inside["net"].sum(),
            "aov": inside["net"].sum() / orders,
            "churn_rate": divide(len(came - active), len(came)),
            "gross_margin": 1 - inside["costs"].sum() / inside["costed"].sum(),
        }
        assert_same(measured, expected)


def test_cohort_triangles(shop: Shop) -> None:
    entries = build_entries(shop.lines, CUTOFF)
    customers = build_customers(shop, entries)
    own = entries[entries["customer_id"].isin(customers.index)]
    own = own.join(customers[["first", "cohort"]], on="customer_id")
    months = own["time"].dt.year * 12 + own["time"].dt.month
    first = own["first"].dt.year * 12 + own["first"].dt.month
    own["age"] = (months - first).clip(lower=0)
    triangles = clvcast.kpis(shop.forecasts, shop.orders, CONFIG).triangles
    for _, row in triangles.iterrows():
        inside = own[own["cohort"] == row["cohort"]]
        at = inside[inside["age"] == row["age_months"]]
        n = int((customers["cohort"] == row["cohort"]).sum())
        active = at.loc[at["is_order"], "customer_id"].nunique()
        cumulated = inside.loc[inside["age"] <= row["age_months"], "net"].sum()
        expected = {
            "customers": n,
            "active_customers": active,
            "retention": divide(active, n),
            "spend": at["net"].sum(),
            "cumulated_spend": cumulated,
            "cumulated_spend_per_customer": divide(cumulated, n),
        }
        assert_same(row, expected)


def value_at_age(shop: Shop, customers: Frame, entries: Frame, age: int) -> Frame:
    """Each customer's value up to an age: brought before the cutoff, and expected after it."""
    young = entries.join(customers["first"], on="customer_id")
    young = young[young["time"] - young["first"] < age * DAY]
    brought = young.groupby("customer_id")["net"].sum().reindex(customers.index).fillna(0.0)
    days = ((customers["first"] + age * DAY - CUTOFF) / DAY).clip(lower=0)
    now = customers["expected_spend"] * shop.margin
    later = (customers["clv"] - now).clip(lower=0)
    coming = now * (days / HORIZON).clip(upper=1)
    coming += later * ((days - HORIZON) / (SPAN - HORIZON)).clip(0, 1)
    return pd.DataFrame(
        {"realised": brought * shop.margin, "coming": coming, "is_reached": days <= SPAN * 1.02}
    )


def estimate_chance(missing: float, coming: float, spread: tuple[float, float]) -> float:
    """That a forecast reaches what is missing: normal halves, each of its side's 90 % bound."""
    if missing <= 0:
        return 1.0
    if coming <= 0:
        return 0.0
    side = coming - coming * spread[0] if missing < coming else coming * spread[1] - coming
    if missing == coming or side <= 0:
        return 0.5 if side > 0 else float(coming >= missing)
    return 0.5 * (1 + math.erf((coming - missing) / (side / 1.6449) / math.sqrt(2)))


def find_payback(
    shop: Shop, customers: Frame, entries: Frame, spend: float, spread: tuple[float, float]
) -> dict[str, float]:
    """The first months of age in which the value reaches the spend, and value within a year.

    `spread` is the 90 % interval of what is coming, as shares of it.
    """
    start = customers["first"].dt.to_period("M")
    last = (CUTOFF + SPAN * DAY).to_period("M")
    n_ages = (last - pd.Period("2020-01", "M")).n + 1
    own = entries.join(start.rename("start"), on="customer_id").dropna(subset="start")
    age = own["time"].dt.to_period("M").astype("int64") - own["start"].astype("int64")
    now = customers["expected_spend"] * shop.margin
    later = customers["clv"] - now
    names = ("payback_month", "payback_month_90", "payback_probability")
    found = dict.fromkeys((*names, "probability_within_mark", "most_for_payback"), math.nan)
    for k in range(n_ages):
        realised = own.loc[age.clip(lower=0) <= k, "net"].sum() * shop.margin
        days = ((((start + k + 1).dt.to_timestamp()) - CUTOFF) / DAY).clip(lower=0)
        coming = now * (days / HORIZON).clip(upper=1)
        coming += later * ((days - HORIZON) / (SPAN - HORIZON)).clip(0, 1)
        total, reaches = realised + coming.sum(), bool((days <= SPAN).all())
        chance = estimate_chance(spend - realised, coming.sum(), spread)
        if k == 11 and reaches:
            found["most_for_payback"] = total / len(customers)
            found["probability_within_mark"] = chance if spend == spend else math.nan
        is_paid = spend <= realised + 1e-9 or (reaches and spend <= total + 1e-9)
        is_earned = spend <= realised + 1e-9
        if k == min(11, n_ages - 1) and is_earned:
            found["probability_within_mark"] = 1.0
        if math.isnan(found["payback_month"]) and is_paid:
            found["payback_month"] = k + 1
            found["payback_probability"] = 1.0 if is_earned else chance
        is_sure = is_earned or (reaches and chance >= 0.9)
        if found["payback_month"] <= k + 1 and math.isnan(found["payback_month_90"]) and is_sure:
            found["payback_month_90"] = k + 1
    return found


@pytest.mark.slow
def test_acquisition(shop: Shop) -> None:
    entries = build_entries(shop.lines, CUTOFF)
    customers = build_customers(shop, entries)
    entries = entries[entries["customer_id"].isin(customers.index)]
    result = clvcast.economics(shop.forecasts, shop.orders, shop.spend, CONFIG)
    stated = shop.spend.set_index(["channel", "month"])["spend"]
    has_spend = pd.Series(
        [pair in stated.index for pair in customers[["channel", "cohort"]].itertuples(index=False)],
        index=customers.index,
    )
    ages = {age: value_at_age(shop, customers, entries, age) for age in (30, 60, 90, 180, 365)}
    table = result.acquisition
    assert set(table["basis"]) == {shop.basis}
    n_used = table[table["new_customers"] > 0].groupby("level").size()
    for _, row in table.iterrows():
        channel, month = row["channel"], row["month"]
        is_member = pd.Series(True, index=customers.index)
        costs = stated.reset_index()
        if isinstance(channel, str):
            is_member &= customers["channel"] == channel
            costs = costs[costs["channel"] == channel]
        else:
            costs = costs[costs["channel"] != "tv"]
        if isinstance(month, str):
            is_member &= customers["cohort"] == month
            costs = costs[costs["month"] == month]
        used = customers[is_member & has_spend]
        if not len(costs):
            used = customers[is_member]
        spend = costs["spend"].sum() if len(costs) else math.nan
        n = len(used)
        assert_same(row, {"spend": spend, "new_customers": n, "cac": divide(spend, n)})
        if not n:
            assert row[["ltv_forecast", "ltv_cac_forecast", "most_to_pay"]].isna().all()
            continue
        reached = [age for age, each in ages.items() if each.loc[used.index, "is_reached"].all()]
        if not reached:
            assert math.isnan(row["ltv_forecast"])
            continue
        at = ages[reached[-1]].loc[used.index]
        apart = 0.1 if n_used[row["level"]] > 1 else 0.0
        total, low, high = bound_total(used, apart)
        realised, coming = at["realised"].sum(), at["coming"].sum()
        spread = (low / total, high / total) if total else (0.0, 0.0)
        ltv = realised + coming
        largest = (at["realised"] + at["coming"]).max()
        expected = {
            "ltv_age_days": reached[-1],
            "ltv_historic": realised / n,
            "ltv_forecast": ltv / n,
            "ltv_forecast_lower": (realised + coming * spread[0]) / n,
            "ltv_forecast_upper": (realised + coming * spread[1]) / n,
            "ltv_cac_historic": divide(realised, spend),
            "ltv_cac_forecast": divide(ltv, spend),
            "ltv_cac_without_largest": divide(ltv - largest, spend),
            "largest_customer_share": divide(largest, ltv),
            "most_to_break_even": ltv / n,
            "most_for_ratio": ltv / n / 3,
        }
        payback = find_payback(shop, used, entries, spend, spread if coming > 0 else (0.0, 0.0))
        pays = [ltv / n / 3, payback["most_for_payback"]]
        expected |= payback | {"most_to_pay": min(p for p in pays if not math.isnan(p))}
        assert_same(row, expected)
        by_age = result.ltv_at_age
        own = by_age[by_age["level"] == row["level"]]
        for name, value in (("channel", channel), ("month", month)):
            own = own[own[name] == value] if isinstance(value, str) else own[own[name].isna()]
        for _, one in own.iterrows():
            each = ages[one["age_days"]].loc[used.index]
            if each["is_reached"].all():
                together = each["realised"].sum() + each["coming"].sum()
                assert_same(
                    one,
                    {"ltv": together / n, "ltv_realised": each["realised"].sum() / n},
                )
            else:
                assert math.isnan(one["ltv"])
    for dimension in ("shop", "channel", "tier", "risk"):
        levers = result.levers[result.levers["dimension"] == dimension]
        for _, row in levers.iterrows():
            inside = pick(customers, dimension, row["group"])
            value = 0.01 * inside["clv"].sum()
            if row["lever"] == "churn":
                points = inside["churn_probability"].clip(upper=0.01)
                value = (points * inside["retention_value"]).sum()
            assert_same(row, {"value": value})


def test_payback_by_cohort(shop: Shop) -> None:
    entries = build_entries(shop.lines, CUTOFF)
    customers = build_customers(shop, entries)
    table = clvcast.economics(shop.forecasts, shop.orders, shop.spend, CONFIG).payback
    for (channel, month), rows in table.groupby(["channel", "month"]):
        own = customers[(customers["channel"] == channel) & (customers["cohort"] == month)]
        if not len(own):
            assert rows["margin_per_customer"].isna().all()
            continue
        mine = entries[entries["customer_id"].isin(own.index)]
        begin = pd.Period(str(month), "M")
        now = own["expected_spend"].sum() * shop.margin
        later = own["clv"].sum() - now
        for _, row in rows.iterrows():
            end = (begin + int(row["age_months"])).to_timestamp()
            realised = mine.loc[mine["time"] < end, "net"].sum() * shop.margin
            days = max((end - CUTOFF) / DAY, 0.0)
            coming = now * min(days / HORIZON, 1)
            coming += later * min(max((days - HORIZON) / (SPAN - HORIZON), 0), 1)
            expected = {
                "new_customers": len(own),
                "realised_per_customer": realised / len(own),
                "margin_per_customer": (realised + coming) / len(own),
            }
            assert_same(row, expected)


def test_the_bridge_of_two_forecasts(shop: Shop) -> None:
    result = clvcast.compare(shop.past, shop.forecasts, orders=shop.orders)
    a, b = (frame.set_index("customer_id") for frame in (shop.past, shop.forecasts))
    both = a.index.intersection(b.index)
    change = b.loc[both, "clv"] - a.loc[both, "clv"]
    days = (CUTOFF - PAST) / DAY
    moved = b.loc[both, "days_since_last_order"] - a.loc[both, "days_since_last_order"]
    ordered = (b.loc[both, "n_orders"] != a.loc[both, "n_orders"]) | ((moved - days).abs() > 1)
    between = shop.lines[shop.lines["ordered_at"].between(PAST, CUTOFF, "left")]
    earned = between.groupby("customer_id")["amount"].sum().reindex(both).fillna(0.0) * shop.margin
    assert (earned[~ordered] != 0).any(), "somebody only returned goods"
    steps = [
        ("customers lost", -a.loc[a.index.difference(both), "clv"].sum()),
        ("ageing", change[~ordered].sum()),
        ("earned since", -earned.sum()),
        ("new orders", change[ordered].sum() + earned.sum()),
        ("new customers", b.loc[b.index.difference(both), "clv"].sum()),
    ]
    total = a["clv"].sum()
    last = round(total, 2)
    found = {term.name: term.amount for term in result.terms}
    for name, amount in steps:
        total += amount
        if name in found or amount:
            assert found[name] == pytest.approx(round(total, 2) - last, abs=1e-9)
            last = round(total, 2)
    assert result.before == pytest.approx(round(a["clv"].sum(), 2), abs=1e-9)
    assert result.after == pytest.approx(round(b["clv"].sum(), 2), abs=1e-9)
    assert result.basis == shop.basis
    for name in ("tier", "risk", "rfm_segment"):
        table = result.migrations[name]
        classes = pd.DataFrame({"from": a[name], "to": b[name]}).fillna("(not there)")
        values = pd.DataFrame({"value_before": a["clv"], "value_after": b["clv"]}).fillna(0.0)
        groups = classes.join(values).assign(customers=1).groupby(["from", "to"])
        expected = groups[["customers", "value_before", "value_after"]].sum().reset_index()
        own = table[list(expected)].sort_values(["from", "to"]).reset_index(drop=True)
        assert_frame_equal(own, expected, check_dtype=False, rtol=1e-9, atol=1e-9)


def test_the_bridge_by_segment(shop: Shop) -> None:
    """Who stood in a segment before stays in its bridge; at its end some leave and some come."""
    found = clvcast.compare(shop.past, shop.forecasts, by="risk").segments
    assert found is not None
    a, b = (frame.set_index("customer_id") for frame in (shop.past, shop.forecasts))
    both = a.index.intersection(b.index)
    days = (CUTOFF - PAST) / DAY
    moved = b.loc[both, "days_since_last_order"] - a.loc[both, "days_since_last_order"]
    ordered = (b.loc[both, "n_orders"] != a.loc[both, "n_orders"]) | ((moved - days).abs() > 1)
    change = b.loc[both, "clv"] - a.loc[both, "clv"]
    was, now = a.loc[both, "risk"], b.loc[both, "risk"]
    new = b.loc[b.index.difference(both)]
    for segment, rows in found.groupby("segment"):
        mine = was == segment
        left, came = mine & (now != segment), ~mine & (now == segment)
        gone = a.loc[a.index.difference(both)]
        steps = {
            "customers lost": -gone.loc[gone["risk"] == segment, "clv"],
            "ageing": change[mine & ~ordered],
            "new orders": change[mine & ordered],
            "new customers": new.loc[new["risk"] == segment, "clv"],
            "moved to other segments": -b.loc[both, "clv"][left],
            "moved from other segments": b.loc[both, "clv"][came],
        }
        amounts = rows.set_index("step")["amount"]
        counts = rows.set_index("step")["customers"]
        total = a.loc[a["risk"] == segment, "clv"].sum()
        last = round(total, 2)
        assert amounts["A"] == pytest.approx(last, abs=1e-9)
        for name, values in steps.items():
            total += values.sum()
            assert (name in amounts) == bool(len(values))
            if len(values):
                assert counts[name] == len(values)
                assert amounts[name] == pytest.approx(round(total, 2) - last, abs=1e-9)
                last = round(total, 2)
        end = b.loc[b["risk"] == segment, "clv"].sum()
        assert amounts["B"] == pytest.approx(round(end, 2), abs=1e-9)


def test_matured_forecasts(shop: Shop) -> None:
    matured = clvcast.monitor(shop.past, shop.orders, config=CONFIG).matured
    inside = shop.lines[shop.lines["ordered_at"].between(PAST, PAST + HORIZON * DAY, "left")]
    spend = inside.groupby("customer_id")["amount"].sum()
    later = inside.groupby(["customer_id", "order_id"])["amount"].sum().round(2)
    ordered = set(later[later > 0].reset_index()["customer_id"])
    frame = shop.past.set_index("customer_id")
    frame["actual"] = spend.reindex(frame.index).fillna(0.0)
    frame["churned"] = ~frame.index.isin(ordered)
    assert len(matured) > 8
    for _, row in matured.iterrows():
        own = frame if row["part"] == "all" else frame[frame[row["part"]] == row["value"]]
        paid = own["actual"].clip(lower=0)
        covered = (own["expected_spend_lower"] <= paid) & (paid <= own["expected_spend_upper"])
        expected = {
            "customers": len(own),
            "forecast": own["expected_spend"].sum(),
            "actual": own["actual"].sum(),
            "churn_forecast": own["churn_probability"].mean(),
            "churn_actual": own["churned"].mean(),
            "coverage": covered.mean(),
        } | measure_ranking(own)
        expected |= bound_spend(own, 0.0 if len(own) == len(frame) else 0.1)
        if own["actual"].sum() > 0:
            expected["bias"] = own["expected_spend"].sum() / own["actual"].sum() - 1
        assert_same(row, expected)


def measure_ranking(own: Frame) -> dict[str, float]:
    """Calibration over ten groups by churn probability; money of the best tenth by forecast."""
    by_churn = own.sort_values("churn_probability", kind="stable")
    gap = 0.0
    for rows in np.array_split(np.arange(len(own)), min(10, len(own))):
        group = by_churn.iloc[rows]
        gap += abs(group["churn_probability"].sum() - group["churned"].sum()) / len(own)
    n = max(1, round(len(own) / 10))
    best = own.sort_values("actual", ascending=False, kind="stable")["actual"].head(n).sum()
    caught = own.sort_values("expected_spend", ascending=False, kind="stable")["actual"].head(n)
    return {
        "calibration": gap,
        "capture": divide(caught.sum(), own["actual"].sum()),
        "capture_of_perfect": divide(caught.sum(), best),
    }


def bound_spend(own: Frame, apart: float) -> dict[str, float]:
    """The 90 % interval of the expected spend of some customers."""
    renamed = {"expected_spend": "clv", "spend_deviation": "clv_deviation"}
    spend = own[["expected_spend", "spend_deviation", "spend_shock"]]
    spend = spend.rename(columns=renamed | {"spend_shock": "clv_shock"})
    _, low, high = bound_total(spend, apart)
    return {"lower": low, "upper": high}


def test_the_tiles_of_the_report(shop: Shop) -> None:
    writing = NumberFormat("EUR")
    customers = build_customers(shop, build_entries(shop.lines, CUTOFF))
    facts = clvcast.report(shop.forecasts, shop.orders, CONFIG).facts
    total, low, high = bound_total(customers, 0.0)
    risky = customers[customers["risk"] == "high"]
    assert [fact.value for fact in facts] == [
        writing.money(total),
        writing.money(customers["expected_spend"].sum()),
        writing.count(len(customers)),
        writing.count(len(risky), "customer"),
    ]
    assert facts[0].name == f"Expected CLV in {SPAN} days: {shop.basis}"
    assert writing.money_range(low, high) in facts[0].note
    assert writing.money(total / len(customers)) in facts[2].note
    assert writing.money(risky["clv"].sum()) in facts[3].note


def test_budget_by_segment(shop: Shop) -> None:
    customers = build_customers(shop, build_entries(shop.lines, CUTOFF))
    budget = clvcast.lists(shop.forecasts, shop.orders, CONFIG).budget
    at_risk = customers["churn_probability"] * customers["retention_value"]
    for _, row in budget.iterrows():
        inside = customers[row["dimension"]] == row["group"]
        if inside.any():
            expected = {
                "customers": int(inside.sum()),
                "clv": customers.loc[inside, "clv"].mean(),
                "value_if_kept": (customers["clv"] + at_risk)[inside].mean(),
                "most_to_keep_one": at_risk[inside].mean(),
                "most_to_keep_all": at_risk[inside].sum(),
                "retention_value": customers.loc[inside, "retention_value"].mean(),
            }
            assert_same(row, expected)
    for dimension in ("tier", "risk", "rfm_segment"):
        parts = budget[budget["dimension"] == dimension]
        assert parts["most_to_keep_all"].sum() == pytest.approx(at_risk.sum(), rel=1e-9)
