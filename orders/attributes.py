"""Customer attributes: facts about customers, each valid from an instant on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..configs.schema import CustomersConfig
from .columns import Float64, Int64, Mask, TextColumn

__all__ = ["ALWAYS", "NO_DATE", "Attributes"]

ALWAYS = int(np.iinfo(np.int64).min)  # valid from the beginning
NO_DATE = int(np.iinfo(np.int64).max)  # of a date attribute: before no cutoff


@dataclass(frozen=True)
class Attributes:
    """Facts, sorted by customer and `valid_from`; those of customer `i` of the orders are
    `starts[i]:starts[i + 1]`, some have none.
    """

    config: CustomersConfig  # how they were read, types complete, no source
    starts: Int64  # n_customers + 1
    valid_from: Int64  # n_facts; microseconds in the shop's zone, or ALWAYS
    texts: Mapping[str, TextColumn]
    numbers: Mapping[str, Float64]  # NaN is missing
    dates: Mapping[str, Int64]  # microseconds, or NO_DATE
    is_coded: bool = False  # texts are codes into a model's vocabulary

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, as the configuration names them."""
        return tuple(name for name in self.config.columns if name != "customer_id")

    def keep_facts(self, keep: Mask) -> Attributes:
        """Some of the facts, of the same customers."""
        kept_before = np.concatenate(([0], np.cumsum(keep)))
        return replace(
            self,
            starts=kept_before[self.starts],
            valid_from=self.valid_from[keep],
            texts={name: column.where(keep) for name, column in self.texts.items()},
            numbers={name: values[keep] for name, values in self.numbers.items()},
            dates={name: values[keep] for name, values in self.dates.items()},
        )

    def keep_customers(self, keep: Mask) -> Attributes:
        """The facts of some of the customers."""
        counts = np.diff(self.starts)
        attributes = self.keep_facts(np.repeat(keep, counts))
        return replace(attributes, starts=np.concatenate(([0], np.cumsum(counts[keep]))))

    def add_to(self, digest: hashlib._Hash) -> None:
        """Add the facts to a digest of the orders."""
        for values in (self.starts, self.valid_from):
            digest.update(values.tobytes())
        for name in sorted(self.texts):
            self.texts[name].add_to(digest, name)
        for name, numbers in sorted({**self.numbers, **self.dates}.items()):
            digest.update(name.encode() + numbers.tobytes())
