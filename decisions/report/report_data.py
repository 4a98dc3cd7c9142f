"""The numbers of a report's business part, as frames, computed by kpis, lists and total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...models.forecast_terms import ForecastTerms
from ...models.scoring import PERIOD_PREFIX
from ...models.segments import RISKS, TIERS
from ...models.totals import total
from ...orders import dates
from ..campaign_lists import Lists, lists
from ..customer_base import CustomerBase, Grouping
from ..group_totals import sum_by_group
from ..kpis import Kpis, kpis
from ..lever_sensitivity import compute_sensitivity

__all__ = ["ReportData"]

_GROUP_COLUMNS = [
    *("group", "customers", "clv", "clv_total", "clv_total_lower", "clv_total_upper"),
    *("expected_spend_total", "churn_probability"),
]


@dataclass(frozen=True)
class ReportData:
    """Frames of one customer base; money in the shop's currency, unknown values NaN."""

    cutoff: str
    model_version: str
    terms: ForecastTerms
    customers: int
    clv: tuple[float, float, float]  # expected, lower, upper; the bounds NaN where unknown
    spend: tuple[float, float, float]
    kpis: Kpis
    lists: Lists
    tier_by_risk: pd.DataFrame  # tier, risk, customers, clv: every pair, in order
    spend_by_period: pd.DataFrame  # period, expected_spend; empty where the file has no periods
    levers: pd.DataFrame  # value of a small change of each, for the shop
    plausibility: tuple[str, ...]  # the totals beside what the customers spent before
    warnings: tuple[str, ...]  # of these totals, and what the model cannot know
    remarks: tuple[str, ...]  # differences between forecasts and orders
    left_out: tuple[str, ...]  # missing contents and their requirements
    segments: tuple[str, ...]  # all segment names

    @property
    def horizon_days(self) -> int:
        """Length of a forecast's period."""
        return self.terms.horizon_days

    @property
    def span_days(self) -> int:
        """Length of the CLV span."""
        return self.terms.span_days

    @classmethod
    def of(cls, base: CustomerBase) -> ReportData:
        """Compute all of it."""
        measures, campaigns = kpis(base), lists(base)
        shop = measures.measures.iloc[0]
        levers = compute_sensitivity(base)
        plausibility, warnings = base.describe_plausibility()
        return cls(
            cutoff=dates.format_instant(base.cutoff),
            model_version=str(base.forecasts["model_version"][0].as_py()),
            terms=base.terms,
            customers=base.n_rows,
            clv=(shop["clv_total"], shop["clv_total_lower"], shop["clv_total_upper"]),
            spend=_sum_spend(base),
            kpis=measures,
            lists=campaigns,
            tier_by_risk=_sum_tier_by_risk(base),
            spend_by_period=_sum_by_period(base),
            levers=levers[levers["dimension"] == "shop"].reset_index(drop=True),
            plausibility=tuple(plausibility),
            warnings=tuple(warnings),
            remarks=base.remarks,
            left_out=tuple(
                remark
                for remark in dict.fromkeys((*measures.remarks, *campaigns.remarks))
                if remark not in base.remarks
            ),
            segments=tuple(base.config.segments.rfm),
        )

    def groups(self, dimension: str) -> pd.DataFrame:
        """The forecasts of each group of a dimension: one row per group, as in `kpis`.

        Tiers, risk bands and RFM segments without customers are included.
        """
        rows = self._select(dimension)[_GROUP_COLUMNS]
        names = {"tier": TIERS[::-1], "risk": RISKS[::-1], "rfm_segment": self.segments}
        if dimension not in names:
            return rows
        order = dict.fromkeys((*names[dimension], *rows["group"]))
        rows = rows.set_index("group").reindex(list(order)).rename_axis("group").reset_index()
        rows["customers"] = rows["customers"].fillna(0).astype(np.int64)
        return rows

    def budget(self, dimension: str) -> pd.DataFrame:
        """The maximum value of keeping the customers of each group."""
        budget = self.lists.budget
        return budget[budget["dimension"] == dimension].reset_index(drop=True)

    @property
    def periods(self) -> pd.DataFrame:
        """The measures of each whole period, oldest first."""
        return self._select("period")

    def _select(self, dimension: str) -> pd.DataFrame:
        measures = self.kpis.measures
        return measures[measures["dimension"] == dimension].reset_index(drop=True)


def _sum_spend(base: CustomerBase) -> tuple[float, float, float]:
    columns = ("expected_spend", "spend_deviation", "spend_shock")
    if set(columns) <= set(base.forecasts.column_names):
        frame = pd.DataFrame({name: base.numbers(name) for name in columns})
        row = total(frame, "spend").iloc[0]
        return float(row["expected"]), float(row["lower"]), float(row["upper"])
    return float(base.numbers("expected_spend").sum()), np.nan, np.nan


def _sum_by_period(base: CustomerBase) -> pd.DataFrame:
    names = [f"{PERIOD_PREFIX}{k}" for k in range(1, base.terms.periods + 1)]
    if not set(names) <= set(base.forecasts.column_names):
        names = []
    totals = [float(base.numbers(name).sum()) for name in names]
    return pd.DataFrame({"period": np.arange(1, len(names) + 1), "expected_spend": totals})


def _sum_tier_by_risk(base: CustomerBase) -> pd.DataFrame:
    tier, risk = base.grouping("tier"), base.grouping("risk")
    n = len(risk.names)
    pairs = Grouping(
        "tier and risk",
        tier.codes * n + risk.codes,
        tuple(f"{t} {r}" for t in tier.names for r in risk.names),
    )
    table = pd.DataFrame(
        {
            "tier": np.repeat(np.array(tier.names, dtype=object), n),
            "risk": np.tile(np.array(risk.names, dtype=object), len(tier.names)),
            "customers": pairs.counts(),
            "clv": sum_by_group(base.forecasts, pairs).expected,
        }
    ).set_index(["tier", "risk"])
    standard_cells = pd.MultiIndex.from_product([TIERS[::-1], RISKS], names=["tier", "risk"])
    others = table.index.difference(standard_cells)
    return table.reindex(standard_cells.append(others), fill_value=0).reset_index()
