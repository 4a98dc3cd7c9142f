"""init: a first configuration, written from the columns an order file has."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ...configs.schema import FormatConfig
from ...errors import OrdersError
from .files import find_files, read_column_names

__all__ = ["init"]

# ours -> what others call it, without case and punctuation; the first that is found is taken
_KNOWN_AS = {
    "customer_id": "customerid customer customerno customernumber custid clientid client userid user "
    "memberid accountid householdid householdkey email",
    "ordered_at": "orderedat orderdate invoicedate ordertime date datetime timestamp createdat "
    "purchasedate purchasetimestamp transactiondate transactiontimestamp orderpurchasetimestamp day",
    "amount": "amount totalamount linetotal totalprice total revenue sales salesvalue salesamount "
    "spend netamount grossamount paymentvalue value dollarvalue",
    "order_id": "orderid invoiceno invoice invoiceid invoicenumber orderno ordernumber transactionid "
    "basketid receiptid",
    "product_id": "productid stockcode sku product item itemid articleid article",
    "category": "category productcategory department commodity",
    "channel": "channel saleschannel store storeid shop",
    "quantity": "quantity qty units count",
    "discount": "discount discountamount retaildisc",
    "cost": "cost cogs costprice unitcost",
}
_UNIT_PRICES = ["unitprice", "price", "itemprice"]


def init(source: str | Path) -> str:
    """Write a configuration for a file of orders from its column names.

    Parameters
    ----------
    source : str or Path
        A file, a glob or a folder of order lines.

    Returns
    -------
    str
        YAML text. What could not be told from the columns is a comment that asks for it.

    Raises
    ------
    OrdersError
        If there are no orders.

    """
    path = find_files(str(source))[0]
    encoding, delimiter, names = _columns(path)
    guessed = _guess(names)
    lines = [
        "# A configuration for clvcast; docs/configuration.md explains every key.",
        f"# Columns found: {', '.join(' '.join(name.split()) for name in names)}",
        "orders:",
        f"  source: {_quoted(str(source))}",
        "  columns:                       # ours: theirs, or arithmetic over theirs",
    ]
    for ours in _KNOWN_AS:
        required = ours in ("customer_id", "ordered_at", "amount")
        if ours in guessed:
            lines.append(f"    {ours}: {_quoted(guessed[ours])}")
        elif required:
            lines.append(f"    # {ours}:    # required: name the column, and remove the first #")
    optional = [ours for ours in _KNOWN_AS if ours not in guessed]
    if optional:
        lines.append(f"    # not found, add where you have them: {', '.join(optional)}")
    if (encoding, delimiter) != ("utf-8", ","):
        lines += ["  format:", f"    delimiter: {_quoted(delimiter)}"]
        lines += [f"    encoding: {encoding}"]
    lines += [
        "  currency: ''                   # for display, such as EUR",
        "horizon_days: 90                 # one period: how far the first forecast looks",
        "periods: 4                       # CLV spans periods x horizon_days",
        "economics:",
        "  margin_rate: 1.0               # profit per unit of spend; 1.0 makes CLV revenue",
        "  annual_discount_rate: 0.0",
        "tracking:",
        "  uri: sqlite:///mlflow.db",
        "  experiment: clv",
        "  model_name: clv",
    ]
    return "\n".join(lines) + "\n"


def _columns(path: Path) -> tuple[str, str, list[str]]:
    """Encoding, the delimiter that splits the header into most cells, and the cells."""
    found = []
    for encoding in ("utf-8", "cp1252"):
        for delimiter in ",;\t|":
            try:
                text = FormatConfig(delimiter=delimiter, encoding=encoding)
                found.append((encoding, delimiter, read_column_names(path, text)))
            except OrdersError as error:
                if "orders.format" not in str(error):
                    raise
    return max(found, key=lambda tried: (len(tried[2]), tried[0] == "utf-8"))


def _guess(names: list[str]) -> dict[str, str]:
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    guessed: dict[str, str] = {}
    for ours, others in _KNOWN_AS.items():
        for other in (ours.replace("_", ""), *others.split()):
            if other in plain:
                guessed[ours] = plain[other]
                break
    price = next((plain[name] for name in _UNIT_PRICES if name in plain), None)
    if "amount" not in guessed and price:
        factors = [guessed["quantity"], price] if "quantity" in guessed else [price]
        guessed["amount"] = " * ".join(_name(f) for f in factors) if len(factors) > 1 else price
    return guessed


def _name(column: str) -> str:
    return column if re.fullmatch(r"[^\W\d]\w*", column) else f"`{column}`"


def _quoted(text: str) -> str:
    """YAML text that reads as `text`, on one line."""
    return yaml.safe_dump(text, allow_unicode=True, width=10**6).removesuffix("...\n").strip()
