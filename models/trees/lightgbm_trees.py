"""Trees: a LightGBM model as the text it is stored as, and the predictions it gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ...orders.columns import Float32, Float64
from .quick_scorer import FlatTrees

if TYPE_CHECKING:
    import lightgbm

__all__ = ["Trees"]

_FEW = 256  # rows


class _Process:
    """OpenMP's threads do not survive a fork: a child that uses them waits for ever."""

    is_forked = False


def _note_the_fork() -> None:
    _Process.is_forked = True


os.register_at_fork(after_in_child=_note_the_fork)


@dataclass(frozen=True)
class Trees:
    """One head of one seed. The text is what is stored; equal texts are equal trees."""

    text: str
    flat: FlatTrees = field(compare=False)

    @classmethod
    def from_booster(cls, booster: lightgbm.Booster) -> Trees:
        """The trees alone: what LightGBM writes after them names settings of the machine."""
        text: str = booster.model_to_string()
        end = "end of trees\n"
        return cls.from_text(text[: text.index(end) + len(end)])

    @classmethod
    def from_text(cls, text: str) -> Trees:
        """Parse stored trees, whose structure `check_trees` proves."""
        return cls(text, FlatTrees.of(text))

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """LightGBM's own; raises `BundleError` where it cannot read the text.

        Made when it is asked for: forecasts need none, and to load LightGBM takes longer than all
        else.
        """
        import lightgbm

        try:
            return lightgbm.Booster(model_str=self.text)
        except lightgbm.basic.LightGBMError as error:
            raise BundleError(f"LightGBM cannot read the bundle's trees: {error}") from None

    @property
    def features(self) -> tuple[str, ...]:
        """The inputs, in their order."""
        line = self.text.partition("\nfeature_names=")[2].partition("\n")[0]
        return tuple(line.split(" "))

    def predict(self, inputs: Float32) -> Float64:
        """The sum over trees, before any link function: float64, n_rows, from n_rows x n_features.

        LightGBM's numbers to the last bit, in an eighth of its time, on the calling thread alone:
        threads and forked processes may call it.
        """
        return np.asarray(self.flat.sums(inputs)[0])

    def contributions(self, inputs: Float32) -> Float64:
        """Shapley values of the features, and the base value: n_rows x (n_features + 1)."""
        if not len(inputs):  # LightGBM divides by the number of rows
            return np.zeros((0, len(self.features) + 1))
        # threads wait for each other longer than a few rows take
        alone = _Process.is_forked or len(inputs) < _FEW
        threads = {"num_threads": 1} if alone else {}
        contributions = self.booster.predict(inputs, pred_contrib=True, **threads)
        return np.asarray(contributions, dtype=np.float64)

    def __reduce__(self) -> tuple[Callable[[str], Trees], tuple[str]]:
        """A copy in another process parses the text anew: handles into LightGBM do not travel."""
        return Trees.from_text, (self.text,)
