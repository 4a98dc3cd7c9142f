"""Columns: the array types of order lines, and text as codes into sorted labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    pass

__all__ = ["Float32", "Float64", "Int8", "Int32", "Int64", "Mask", "Text", "TextColumn"]

Int64 = npt.NDArray[np.int64]


Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]


Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Text = npt.NDArray[np.object_]


@dataclass(frozen=True)
class TextColumn:
    """A text column as codes into its sorted labels; -1 is missing."""

    codes: Int32
    values: pa.Array  # the labels in their order: text, or whole numbers sorted as text would be

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def labels(self) -> pa.StringArray:
        """The labels as text; made for whole numbers when someone asks for it."""
        return self.values.cast(pa.string())

    @property
    def is_missing(self) -> npt.NDArray[np.bool_]:
        """Which lines have none."""
        return np.asarray(self.codes < 0)

    def where(self, keep: npt.NDArray[np.bool_]) -> TextColumn:
        """The column of some lines."""
        return self if keep.all() else TextColumn(self.codes[keep], self.values)

    def to_text(self) -> pa.StringArray:
        """The text itself, null where missing."""
        return self.labels.take(pa.array(self.codes, mask=self.codes < 0))

    def add_to(self, digest: hashlib._Hash, name: str) -> None:
        """Add the content to a digest, whatever labels stand unused beside it."""
        present, dense = np.unique(self.codes, return_inverse=True)
        labels = self.labels.take(pa.array(present[present >= 0])).to_pylist()
        digest.update(repr((name, labels, bool((present < 0).any()))).encode())
        digest.update(dense.astype(np.int32).tobytes())
