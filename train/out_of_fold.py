"""Left-out customers: what the model's heads say of training rows whose customers their trees never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..configs.schema import ModelConfig
from ..features.table import FeatureRows
from ..models.blend import BtydViews, Heads, predict_heads
from ..models.parameters import Blend
from ..orders.columns import Int64, Mask
from .boosting import Examples, train_boosters
from .customer_sampling import hash_customer_ids

__all__ = ["predict_out_of_fold"]

_FOLDS = 2
_KEY = b"clvcast folds"


def predict_out_of_fold(
    examples: Examples,
    rows: FeatureRows,
    blend: Blend,
    btyd: BtydViews,
    model: ModelConfig,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Heads:
    """Each row's heads, from trees of one seed grown on the other half of the customers."""
    fold = _customer_folds(rows)
    found = np.zeros((3, rows.n_rows))
    for held_out in range(_FOLDS):
        out = fold == held_out
        if not out.any():
            continue
        # where the other half teaches nothing, everybody does
        learn = ~out if _teaches(examples, ~out) else np.ones(rows.n_rows, dtype=bool)
        trees = train_boosters(examples.where(learn), model, range(seed, seed + 1), progress)
        heads = predict_heads(trees, examples.features, blend, rows.where(out), btyd.where(out))
        found[:, out] = heads.churn_log_odds, heads.spend_if_ordered, heads.spend
    return Heads(*found)


def _customer_folds(rows: FeatureRows) -> Int64:
    """A fold per row, by a hash of its customer id: no matter who else is there."""
    # keyed: a shop's own sample by a common hash must not be a single fold
    folds = hash_customer_ids(rows.customer_ids, _KEY, n_bytes=1) % _FOLDS
    return np.asarray(folds[rows.customer_index])


def _teaches(examples: Examples, learn: Mask) -> bool:
    """Whether rows show customers who spent, and any who did not order."""
    churned = examples.churned[learn]
    return bool(churned.any() and examples.spend[learn][~churned].sum() > 0)
