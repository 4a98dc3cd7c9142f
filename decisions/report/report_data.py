"""What the business half of a report says, as frames: all of it computed by kpis, lists and total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...models.segments import RISKS, TIERS
from ...models.totals import total
from ...orders import dates
from ..campaign_lists import Lists, lists
from ..customer_base import CustomerBase, Grouping
from ..group_totals import sum_by_group
from ..kpis import Kpis, kpis
from ..lever_sensitivity import compute_sensitivity

__all__ = ["ReportData"]

# the measures that a group's row is made of
GROUP_COLUMNS = (
    "group", "customers", "clv", "clv_total", "clv_total_lower", "clv_total_upper",
    "expected_spend_total", "churn_probability",
)  # fmt: skip


@dataclass(frozen=True)
class ReportData:
    """Frames of one customer base; money in the shop's currency, what cannot be known is NaN."""

    cutoff: str
    model_version: str
    horizon_days: int
    span_days: int
    margin_rate: float
    customers: int
    clv: tuple[float, float, float]  # expected, lower, upper; the bounds NaN where unknown
    spend: tuple[float, float, float]
    kpis: Kpis
    lists: Lists
    tier_by_risk: pd.DataFrame  # tier, risk, customers, clv: every pair, in order
    levers: pd.DataFrame  # what a small change of each is worth, for the shop
    remarks: tuple[str, ...]  # what is amiss between forecasts and orders
    left_out: tuple[str, ...]  # what cannot be shown, and what it would take
    segments: tuple[str, ...]  # every name a customer may have

    @classmethod
    def of(cls, base: CustomerBase) -> ReportData:
        """Compute all of it."""
        measures, campaigns = kpis(base), lists(base)
        shop = measures.measures.iloc[0]
        levers = compute_sensitivity(base)
        return cls(
            cutoff=dates.format_instant(base.cutoff),
            model_version=str(base.forecasts["model_version"][0].as_py()),
            horizon_days=base.horizon_days,
            span_days=base.span_days,
            margin_rate=base.config.economics.margin_rate,
            customers=base.n_rows,
            clv=(shop["clv_total"], shop["clv_total_lower"], shop["clv_total_upper"]),
            spend=_spend(base),
            kpis=measures,
            lists=campaigns,
            tier_by_risk=_tier_by_risk(base),
            levers=levers[levers["dimension"] == "shop"].reset_index(drop=True),
            remarks=base.remarks,
            left_out=tuple(
                told
                for told in dict.fromkeys((*measures.remarks, *campaigns.remarks))
                if told not in base.remarks
            ),
            segments=tuple(base.config.segments.rfm),
        )

    def groups(self, dimension: str) -> pd.DataFrame:
        """The forecasts of each group of a dimension: a row a group, as `kpis` has it.

        Tiers, risk bands and RFM segments that nobody is in are there as well, with no customers.
        """
        found = self.kpis.measures
        rows = found[found["dimension"] == dimension][list(GROUP_COLUMNS)]
        names = {"tier": TIERS[::-1], "risk": RISKS[::-1], "rfm_segment": self.segments}
        wanted = names.get(dimension)
        if wanted is None:
            return rows.reset_index(drop=True)
        others = [name for name in rows["group"] if name not in wanted]
        rows = rows.set_index("group").reindex([*wanted, *others]).reset_index()
        rows["customers"] = rows["customers"].fillna(0).astype(np.int64)
        return rows

    def budget(self, dimension: str) -> pd.DataFrame:
        """What keeping the customers of each group is worth at most."""
        found = self.lists.budget
        return found[found["dimension"] == dimension].reset_index(drop=True)

    @property
    def periods(self) -> pd.DataFrame:
        """The measures of each whole period, oldest first."""
        found = self.kpis.measures
        return found[found["dimension"] == "period"].reset_index(drop=True)


def _spend(base: CustomerBase) -> tuple[float, float, float]:
    columns = ("expected_spend", "spend_deviation", "spend_shock")
    if set(columns) <= set(base.forecasts.column_names):
        frame = pd.DataFrame({name: base.numbers(name) for name in columns})
        row = total(frame, "spend").iloc[0]
        return float(row["expected"]), float(row["lower"]), float(row["upper"])
    return float(base.numbers("expected_spend").sum()), np.nan, np.nan


def _tier_by_risk(base: CustomerBase) -> pd.DataFrame:
    tier, risk = base.grouping("tier"), base.grouping("risk")
    n = len(risk.names)
    pairs = Grouping(
        "tier and risk",
        tier.codes * n + risk.codes,
        tuple(f"{t} {r}" for t in tier.names for r in risk.names),
    )
    found = pd.DataFrame(
        {
            "tier": np.repeat(np.array(tier.names, dtype=object), n),
            "risk": np.tile(np.array(risk.names, dtype=object), len(tier.names)),
            "customers": pairs.counts(),
            "clv": sum_by_group(base.forecasts, pairs).expected,
        }
    ).set_index(["tier", "risk"])
    wanted = pd.MultiIndex.from_product([TIERS[::-1], RISKS], names=["tier", "risk"])
    others = found.index.difference(wanted)
    return found.reindex(wanted.append(others), fill_value=0).reset_index()
