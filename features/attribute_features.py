"""Customer attributes: facts about customers, known as of a cutoff, and the codes that trees read.

    text     the place of its label in the model's sorted vocabulary; after the last for others
    number   as it is
    date     days before the cutoff; a date at or after it is not known yet

Missing is NaN. A fact is known where `valid_from < cutoff`, and of a customer's known facts the
newest holds; facts without a date are known always. `windows` does the comparing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from ..configs.schema import CustomersConfig
from ..errors import OrdersError
from ..orders import windows
from ..orders.attribute_values import find_known_facts
from ..orders.columns import Float32, Int64, TextColumn
from ..orders.orders import Orders
from ..orders.reading.validation_issues import pluralize

__all__ = [
    "PREFIX",
    "AttributeCoding",
    "MissingAttributes",
    "build_attribute_columns",
    "build_attribute_labels",
    "count_missing_attributes",
    "encode_attributes",
    "learn_coding",
]

PREFIX = "attribute_"
_MOST_LABELS = 30
_LEAST_CUSTOMERS = 10  # of a label: fewer teach nothing, and might tell who they are


class AttributeCoding(BaseModel):
    """What a model remembers of its attributes: how to read them, and the labels it knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: CustomersConfig
    vocabulary: Mapping[str, tuple[str, ...]]  # text attribute -> sorted labels


def learn_coding(orders: Orders, end: int) -> AttributeCoding | None:
    """The coding of the attributes known before `end`; None for orders without any.

    A vocabulary holds the labels that most customers with an order before `end` have then.
    """
    observed = windows.slice_observed(orders, end)
    attributes = observed.attributes
    if attributes is None:
        return None
    fact = find_known_facts(attributes, end)
    vocabulary = {}
    for name, column in attributes.texts.items():
        codes = column.codes[fact[fact >= 0]]
        customers = np.bincount(codes[codes >= 0], minlength=len(column.labels))
        common = np.lexsort((np.arange(len(customers)), -customers))[:_MOST_LABELS]
        common = np.sort(common[customers[common] >= _LEAST_CUSTOMERS])
        vocabulary[name] = tuple(column.labels.take(pa.array(common)).to_pylist())
    return AttributeCoding(config=attributes.config, vocabulary=vocabulary)


def encode_attributes(orders: Orders, coding: AttributeCoding | None) -> Orders:
    """The orders with the attributes of a coding alone; raises `OrdersError` for missing ones."""
    if coding is None:
        return replace(orders, attributes=None)
    names = [name for name in coding.config.columns if name != "customer_id"]
    attributes = orders.attributes
    missing = [n for n in names if attributes is None or n not in attributes.names]
    if attributes is None or missing:
        raise OrdersError(
            f"the model needs the customer attributes {', '.join(missing)}, which were not given; "
            "name a file of customers (--customers, or customers: in a configuration)"
        )
    texts = {}
    for name, labels in coding.vocabulary.items():
        if name not in attributes.texts:
            raise OrdersError(
                f"the customer attribute {name} must be text, as the model learned it"
            )
        column = attributes.texts[name]
        place = pc.index_in(column.labels, pa.array(labels, pa.string())).fill_null(len(labels))
        table = np.append(place.to_numpy(zero_copy_only=False), -1).astype(np.int32)
        vocabulary = pa.array([*labels, None], pa.string())  # the last is for others
        texts[name] = TextColumn(
            table[column.codes], vocabulary
        )  # -1, missing, is the table's last
    return replace(
        orders,
        attributes=replace(
            attributes,
            config=coding.config,
            texts=texts,
            numbers={n: v for n, v in attributes.numbers.items() if n in names},
            dates={n: v for n, v in attributes.dates.items() if n in names},
            is_coded=True,
        ),
    )


def build_attribute_columns(
    orders: Orders, cutoffs: Int64, cutoff_index: Int64, customer_index: Int64
) -> tuple[tuple[str, ...], Float32]:
    """The features of rows (cutoff, customer): their names and float32, n_rows x n_attributes.

    Text is a feature once it is `encode_attributes`.
    """
    attributes = orders.attributes
    if attributes is None:
        return (), np.empty((len(cutoff_index), 0), dtype=np.float32)
    names = tuple(n for n in attributes.names if n not in attributes.texts or attributes.is_coded)
    newest = windows.find_newest_before(attributes.valid_from, attributes.starts, cutoffs)
    fact = newest[customer_index, cutoff_index]
    values = np.full((len(fact), len(names)), np.nan, dtype=np.float32)
    has_fact = fact >= 0
    fact, at = fact[has_fact], cutoffs[cutoff_index[has_fact]]
    for position, name in enumerate(names):
        if name in attributes.texts:
            codes = attributes.texts[name].codes[fact]
            values[has_fact, position] = np.where(codes < 0, np.nan, codes)
        elif name in attributes.numbers:
            values[has_fact, position] = attributes.numbers[name][fact]
        else:
            values[has_fact, position] = windows.count_days_before(attributes.dates[name][fact], at)
    return tuple(PREFIX + name for name in names), values


def build_attribute_labels(
    orders: Orders, cutoffs: Int64, cutoff_index: Int64, customer_index: Int64
) -> dict[str, pa.StringArray]:
    """The text attributes of rows (cutoff, customer) as text, by the names of their features."""
    attributes = orders.attributes
    if attributes is None:
        return {}
    newest = windows.find_newest_before(attributes.valid_from, attributes.starts, cutoffs)
    fact = newest[customer_index, cutoff_index]
    labels = {}
    for name, column in attributes.texts.items():
        codes = np.append(column.codes, np.int32(-1))[fact]  # -1, no fact, is the last
        labels[PREFIX + name] = TextColumn(codes, column.labels).to_text()
    return labels


@dataclass(frozen=True)
class MissingAttributes:
    """Of how many customers which attributes are not known; counts of disjoint customers add up."""

    customers: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    other: Mapping[str, int] = field(default_factory=dict)  # with a label the model does not know

    def __add__(self, more: MissingAttributes) -> MissingAttributes:
        names = dict.fromkeys((*self.missing, *more.missing))
        return MissingAttributes(
            self.customers + more.customers,
            {n: self.missing.get(n, 0) + more.missing.get(n, 0) for n in names},
            {n: self.other.get(n, 0) + more.other.get(n, 0) for n in names},
        )

    def sentences(self, beyond: float = 0.0) -> list[str]:
        """A sentence for each attribute that more than a share of the customers lack."""
        sentences = []
        for name, missing in self.missing.items():
            other = self.other[name]
            reasons = [f"is missing for {missing:,}"] if missing else []
            if other:
                reasons.append(
                    f"has a label the model does not know (taken as other) for {other:,}"
                )
            if missing + other > beyond * self.customers:
                sentences.append(
                    f"{name} {' and '.join(reasons)} of {pluralize(self.customers, 'customer')}"
                )
        return sentences


def count_missing_attributes(
    orders: Orders, coding: AttributeCoding | None, cutoff: int
) -> MissingAttributes:
    """Count, per attribute of a model, the customers before the cutoff without a known value."""
    observed = encode_attributes(windows.slice_observed(orders, cutoff), coding)
    if observed.attributes is None or coding is None:
        return MissingAttributes()
    n = observed.n_customers
    at = np.array([cutoff], dtype=np.int64)
    names, values = build_attribute_columns(observed, at, np.zeros(n, np.int64), np.arange(n))
    missing, other = {}, {}
    for name, column in zip(names, values.T, strict=True):
        attribute = name.removeprefix(PREFIX)
        missing[attribute] = int(np.isnan(column).sum())
        is_text = attribute in coding.vocabulary
        other[attribute] = (
            int((column == len(coding.vocabulary[attribute])).sum()) if is_text else 0
        )
    return MissingAttributes(n, missing, other)
