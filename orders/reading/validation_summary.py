"""Tally: what reading found in some lines; tallies of disjoint lines add up, and the sum is
judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from ...configs.schema import LineRules, OrdersConfig
from ...errors import OrdersError, cut_text
from ..limits import MAX_MINOR_UNITS
from ..orders import OrdersReport
from .column_mapping import CURRENCY
from .line_filters import FILTER, RETURNS, fold_value
from .validation_issues import Fault, join_words, merge_faults, pluralize, raise_faults

__all__ = ["ValidationSummary", "add_counts"]

_SHOWN_VALUES = 12


def add_counts(counts: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Counts by name, added up; names keep the order in which they were first seen.

    >>> add_counts({"paid": 2}, {"void": 1, "paid": 1})
    {'paid': 3, 'void': 1}
    """
    total = dict(counts)
    for name, value in more.items():
        if isinstance(value, Mapping):
            total[name] = add_counts(total.get(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value
    return total


@dataclass
class ValidationSummary:
    """Counts of lines, and what speaks against some of them."""

    lines_read: int = 0
    lines_usable: int = 0
    lines_without_customer: int = 0
    lines_ragged: int = 0  # of the rejected; they have another number of cells than the header
    money: float = 0.0  # the sum of all usable amounts without their signs
    rejected: dict[str, int] = field(default_factory=dict)  # reason -> lines
    left_out: dict[str, int] = field(default_factory=dict)  # column and value -> lines
    values_seen: dict[str, dict[str, int]] = field(default_factory=dict)  # role -> value -> lines
    faults: list[Fault] = field(default_factory=list)  # of the rejected
    taken_as_missing: list[Fault] = field(default_factory=list)  # of columns that are optional
    remarks: list[str] = field(default_factory=list)
    rejected_lines: list[pa.Table] = field(default_factory=list)

    def __add__(self, other: ValidationSummary) -> ValidationSummary:
        sums: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in sums.items():
            if isinstance(value, dict):
                sums[name] = add_counts(value, getattr(other, name))
            else:
                sums[name] = value + getattr(other, name)
        for name in ("faults", "taken_as_missing"):
            sums[name] = merge_faults(sums[name])
        return ValidationSummary(**sums)

    def report(self, config: OrdersConfig, source: str) -> OrdersReport:
        """What was found, as people are told; refuses lines that cannot be used."""
        faults = list(self.faults)
        if self.lines_read == 0:
            raise OrdersError(
                f"{source} holds no order lines, only a header; give a file with orders"
            )
        remarks = self._judge_values(config, source)
        with_customer = self.lines_read - self.lines_without_customer
        rejected = sum(self.rejected.values())
        if rejected > config.max_rejected_share * with_customer:
            if self.lines_ragged:
                faults.append(
                    Fault(
                        f"{pluralize(self.lines_ragged, 'line')} have another number of cells, or "
                        "are no JSON object"
                    )
                )
            share = (
                f"{rejected:,} of {pluralize(with_customer, 'line')} with a customer cannot be used"
            )
            mend = f"more than orders.max_rejected_share ({config.max_rejected_share:g}) allows"
            raise_faults([*faults, Fault(share, mend=mend)], source)
        if not self.lines_usable:
            if sum(self.left_out.values()) + sum(self.rejected.values()):
                why = [f"{n:,} {what}" for what, n in (self.left_out | self.rejected).items()]
                raise OrdersError(
                    f"{source} holds no usable order line of {self.lines_read:,}: {', '.join(why)}"
                    + "".join(f"; {fault.sentence()}" for fault in faults)
                )
            raise OrdersError(
                f"{source} holds no usable order line: {self.lines_without_customer:,} of "
                f"{pluralize(self.lines_read, 'line')} name no customer; check "
                "orders.columns.customer_id"
            )
        unit = 10.0**config.currency_decimals
        if self.money * unit >= MAX_MINOR_UNITS:
            raise OrdersError(
                f"all amounts together must stay below {MAX_MINOR_UNITS / unit:.0e}, got "
                f"{self.money:.1e}; lower orders.currency_decimals"
            )
        remarks += [f"set aside: {fault.sentence()}" for fault in faults]
        remarks += self.remarks
        remarks += [f"taken as missing: {fault.sentence()}" for fault in self.taken_as_missing]
        return OrdersReport(
            lines_read=self.lines_read,
            rejected=self.rejected,
            lines_without_customer=self.lines_without_customer,
            duplicates_dropped=config.duplicates == "drop",
            left_out=self.left_out,
            remarks=tuple(dict.fromkeys(remarks)),
            rejected_lines=pa.concat_tables(self.rejected_lines) if self.rejected_lines else None,
        )

    def _judge_values(self, config: OrdersConfig, source: str) -> list[str]:
        """Remarks on filters that find nothing; refuses several currencies, and `only` with no
        line.
        """
        remarks = []
        rules = config.all_sources() or (config,)
        for rule, key, listed in [
            (r, key, values_of_rule) for r in rules for key, values_of_rule in _list_values(r)
        ]:
            column, values = listed
            counts = self.values_seen.get((RETURNS if key == "returns" else FILTER) + column)
            if not counts:
                continue
            absent = [value for value in values if value and fold_value(value) not in counts]
            shown = list(counts.items())[:_SHOWN_VALUES]
            has = cut_text(", ".join(f"{value} ({n:,})" for value, n in shown))
            if key == "only" and len(absent) == len(values):
                raise OrdersError(
                    f"{source}: orders.only must name values that {column} has, got "
                    f"{', '.join(values)}; found: {has}"
                )
            is_own = rule.layout is None  # a layout lists what may occur
            if absent and is_own and (key != "except" or len(absent) == len(values)):
                remarks.append(
                    f"orders.{key}: no line has {column} {' or '.join(absent)}; found: {has}"
                )
        currencies = self.values_seen.get(CURRENCY, {})
        if len(currencies) > 1 and not config.exchange_rates:
            has = join_words([f"{name.upper()} ({n:,} lines)" for name, n in currencies.items()])
            raise OrdersError(
                f"{source} has amounts in several currencies: {cut_text(has)}; set orders.currency "
                "to the one to keep, or orders.exchange_rates to convert"
            )
        counts = self.values_seen.get(FILTER + (config.currency_column or ""), {})
        is_picked = config.currency and counts and not config.exchange_rates
        if is_picked and config.currency.strip().lower() not in counts:
            raise OrdersError(
                f"orders.currency must be one that {config.currency_column} has, got "
                f"{config.currency}; found: {cut_text(', '.join(n.upper() for n in counts))}"
            )
        return remarks


def _list_values(rules: LineRules) -> list[tuple[str, tuple[str, tuple[str, ...]]]]:
    """Key, column and listed values of each filter."""
    listed = {"only": rules.only, "except": rules.except_, "returns": rules.returns}
    return [(key, item) for key, filters in listed.items() for item in filters.items()]
