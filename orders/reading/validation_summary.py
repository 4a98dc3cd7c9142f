"""Tally: what reading found in some lines; tallies of disjoint lines add up, and the sum is judged."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pyarrow as pa

from ...configs.schema import OrdersConfig
from ...errors import OrdersError
from ..orders import OrdersReport
from .validation_issues import Fault, merge_faults, pluralize, raise_faults

__all__ = ["ValidationSummary"]

_MOST_MINOR_UNITS = 2.0**62  # integers of money must add up without overflow


@dataclass
class ValidationSummary:
    """Counts of lines, and what speaks against some of them."""

    lines_read: int = 0
    lines_usable: int = 0
    lines_without_customer: int = 0
    lines_ragged: int = 0  # of the rejected; they have another number of cells than the header
    money: float = 0.0  # the sum of all usable amounts without their signs
    rejected: dict[str, int] = field(default_factory=dict)  # reason -> lines
    faults: list[Fault] = field(default_factory=list)  # of the rejected
    taken_as_missing: list[Fault] = field(default_factory=list)  # of columns that are optional
    remarks: list[str] = field(default_factory=list)
    rejected_lines: list[pa.Table] = field(default_factory=list)

    def __add__(self, other: ValidationSummary) -> ValidationSummary:
        sums = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in sums.items():
            if name != "rejected":
                sums[name] = value + getattr(other, name)
        reasons = dict.fromkeys((*self.rejected, *other.rejected))
        sums["rejected"] = {
            reason: self.rejected.get(reason, 0) + other.rejected.get(reason, 0)
            for reason in reasons
        }
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
        if not self.lines_usable and rejected:
            none = f"none of {pluralize(self.lines_read, 'line')} can be used"
            raise_faults([*faults, Fault(none)], source)
        if not self.lines_usable:
            raise OrdersError(
                f"{source} holds no usable order line: {self.lines_without_customer:,} of "
                f"{pluralize(self.lines_read, 'line')} name no customer; check orders.columns.customer_id"
            )
        unit = 10.0**config.currency_decimals
        if self.money * unit >= _MOST_MINOR_UNITS:
            raise OrdersError(
                f"all amounts together must stay below {_MOST_MINOR_UNITS / unit:.0e}, got "
                f"{self.money:.1e}; lower orders.currency_decimals"
            )
        remarks = [f"set aside: {fault.sentence()}" for fault in faults]
        remarks += self.remarks
        remarks += [f"taken as missing: {fault.sentence()}" for fault in self.taken_as_missing]
        return OrdersReport(
            lines_read=self.lines_read,
            rejected=self.rejected,
            lines_without_customer=self.lines_without_customer,
            duplicates_dropped=config.duplicates == "drop",
            remarks=tuple(dict.fromkeys(remarks)),
            rejected_lines=pa.concat_tables(self.rejected_lines) if self.rejected_lines else None,
        )
