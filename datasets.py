"""Orders to try clvcast with.

Examples
--------
>>> orders = load_online_retail()
>>> len(orders), orders.attrs["licence"]
(1044847, 'CC BY 4.0')

"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["load_online_retail"]

_FILE = Path(__file__).resolve().parent / "data" / "online_retail.parquet"


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
