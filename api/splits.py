"""RollingOriginSplit: cross-validation over cutoffs, for scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError

__all__ = ["RollingOriginSplit"]


class RollingOriginSplit:
    """Split rows by cutoff, so that no training row's outcome reaches into the test window.

    Each of the newest `n_splits` cutoffs is a test set once. Its training set has the rows whose
    window was over by then: cutoff + horizon_days <= test cutoff. Customers are never split at
    random.

    Parameters
    ----------
    n_splits : int, default 3
        Number of test cutoffs.
    horizon_days : int, default 90
        Length of the window that the outcomes come from.

    Examples
    --------
    >>> table = pd.DataFrame({"cutoff": pd.to_datetime(["2024-01-01", "2024-04-01", "2024-07-01"])})
    >>> for train, test in RollingOriginSplit(2, horizon_days=90).split(table):
    ...     print(train.tolist(), test.tolist())
    [0] [1]
    [0, 1] [2]

    """

    def __init__(self, n_splits: int = 3, horizon_days: int = 90) -> None:
        self.n_splits = n_splits
        self.horizon_days = horizon_days

    def split(
        self,
        X: Any,  # noqa: N803  # scikit-learn's name
        y: Any = None,
        groups: Any = None,
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield the positions of training and test rows, oldest test cutoff first.

        Parameters
        ----------
        X : DataFrame
            Rows with a column `cutoff`, as `clvcast.tables.training` returns them.
        y : ignored
        groups : array-like, optional
            The cutoff of each row, where X has no column `cutoff`.

        Raises
        ------
        ConfigError
            If the rows have no cutoffs, or too few of them.

        """
        cutoffs = self._read_cutoffs(X, groups)
        horizon = np.timedelta64(self.horizon_days, "D")
        distinct = np.unique(cutoffs)
        usable = [at for at in distinct if (distinct + horizon <= at).any()]
        if self.n_splits < 1 or len(usable) < self.n_splits:
            raise ConfigError(
                f"n_splits must be from 1 to {len(usable)}, the number of cutoffs that have a "
                f"training row {self.horizon_days} days earlier, got {self.n_splits}; add cutoffs"
            )
        for at in usable[-self.n_splits :]:
            yield np.flatnonzero(cutoffs + horizon <= at), np.flatnonzero(cutoffs == at)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Number of test cutoffs."""
        return self.n_splits

    def _read_cutoffs(self, rows: Any, groups: Any) -> npt.NDArray[np.datetime64]:
        if groups is None and "cutoff" in getattr(rows, "columns", ()):
            groups = rows["cutoff"]
        if groups is None:
            raise ConfigError(
                "the rows must have a column cutoff, or groups must give each row's cutoff"
            )
        return pd.to_datetime(pd.Series(groups)).to_numpy(dtype="datetime64[us]")

    def __repr__(self) -> str:
        return f"RollingOriginSplit(n_splits={self.n_splits}, horizon_days={self.horizon_days})"
