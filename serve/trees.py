"""Trees: a LightGBM model as the text it is stored as, and the predictions it gives."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from ..errors import BundleError

__all__ = ["Trees"]

_RAW_SCORE, _FLOAT32 = 1, 0  # C_API_PREDICT_RAW_SCORE, C_API_DTYPE_FLOAT32


class _Process:
    """OpenMP's waiting threads do not survive a fork: a child that calls for them waits for ever."""

    is_forked = False


def _note_the_fork() -> None:
    _Process.is_forked = True


os.register_at_fork(after_in_child=_note_the_fork)


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
        if len(inputs) == 1:
            return self._one_row.predict(inputs)
        threads = {"num_threads": 1} if _Process.is_forked else {}
        raw = self.booster.predict(inputs, raw_score=True, **threads)
        return np.asarray(raw, dtype=np.float64)

    def contributions(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Shapley values of the features, and what the trees say of nobody: n_rows x (n_features + 1)."""
        threads = {"num_threads": 1} if _Process.is_forked else {}
        found = self.booster.predict(inputs, pred_contrib=True, **threads)
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def _one_row(self) -> _OneRow:
        return _OneRow(self.booster)

    def __reduce__(self) -> tuple[Callable[[str], Trees], tuple[str]]:
        """A copy in another process parses the text anew: handles into LightGBM do not travel."""
        return Trees.from_text, (self.text,)


class _OneRow(threading.local):
    """LightGBM's call for a single row, with everything but the walk through the trees done once.

    It gives the numbers of `Booster.predict` in half its time. The set-up holds a buffer, so every
    thread has its own; it runs on the calling thread alone, so that a forked process can call it.
    """

    def __init__(self, booster: lightgbm.Booster) -> None:
        self.booster = booster  # the set-up points into it
        library = ctypes.CDLL(lightgbm.basic._LIB._name)
        self.setup = ctypes.c_void_p()
        status = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster._handle, _RAW_SCORE, 0, -1, _FLOAT32, booster.num_feature(),
            b"num_threads=1", ctypes.byref(self.setup),
        )  # fmt: skip
        if status != 0:
            raise BundleError("LightGBM cannot prepare the bundle's trees for a single row")
        self.free: Any = library.LGBM_FastConfigFree
        self.free.argtypes = [ctypes.c_void_p]
        self.call: Any = library.LGBM_BoosterPredictForMatSingleRowFast
        self.call.argtypes = [ctypes.c_void_p] * 4
        self.length = ctypes.c_int64()
        self.result = ctypes.c_double()
        self.length_at, self.result_at = (
            ctypes.addressof(self.length),
            ctypes.addressof(self.result),
        )

    def predict(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        row = np.ascontiguousarray(inputs, dtype=np.float32)
        address = row.__array_interface__["data"][0]
        if self.call(self.setup, address, self.length_at, self.result_at) != 0:
            raise BundleError("LightGBM cannot predict a single row with the bundle's trees")
        return np.array([self.result.value])

    def __del__(self) -> None:
        if self.setup:
            self.free(self.setup)
