"""Trees: a LightGBM model as the text it is stored as, and the predictions it gives."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from ..errors import BundleError

__all__ = ["Trees"]


@dataclass(frozen=True)
class Trees:
    """One head of one seed. The text is what is stored; equal texts are equal trees."""

    text: str
    booster: lightgbm.Booster

    @classmethod
    def from_booster(cls, booster: lightgbm.Booster) -> Trees:
        """The trees alone: what LightGBM writes after them names settings of the machine."""
        text: str = booster.model_to_string()
        end = "end of trees\n"
        return cls.from_text(text[: text.index(end) + len(end)])

    @classmethod
    def from_text(cls, text: str) -> Trees:
        """Parse stored trees; raises `BundleError` where LightGBM cannot."""
        try:
            return cls(text, lightgbm.Booster(model_str=text))
        except lightgbm.basic.LightGBMError as error:
            raise BundleError(f"LightGBM cannot read the bundle's trees: {error}") from None

    @property
    def features(self) -> tuple[str, ...]:
        """The inputs, in their order."""
        return tuple(self.booster.feature_name())

    def predict(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The sum over trees, before any link function: float64, n_rows."""
        return np.asarray(self.booster.predict(inputs, raw_score=True), dtype=np.float64)

    def contributions(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Shapley values of the features, and what the trees say of nobody: n_rows x (n_features + 1)."""
        return np.asarray(self.booster.predict(inputs, pred_contrib=True), dtype=np.float64)
