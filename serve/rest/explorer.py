"""Pages: the report of the loaded forecasts at /, with customers to be filtered and looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from ...configs.schema import Config
from ...decisions.customer_base import open_customer_base
from ...decisions.report.build import report
from ...decisions.report.number_format import UNKNOWN, NumberFormat
from ...errors import ClvcastError, ConfigError, OrdersError
from ...models.model import TrainedModel
from .auth import COOKIE, is_token
from .customer_index import PAGE_ROWS, CustomerIndex
from .errors import Refusal
from .settings import Settings

__all__ = ["create_explorer"]

_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_NOT_KEPT = {"Cache-Control": "no-store"}
_MOST_HISTORY = 100
_BAR_DAYS = 3  # how wide an order is drawn
_LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; form-action 'self'">
<meta name="color-scheme" content="light dark"><title>clvcast</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem; }}
input, button {{ font: inherit; padding: 0.4rem 0.7rem; }} label {{ display: block; margin-bottom: 0.4rem; }}</style></head>
<body><main><h1>Customer value report</h1><p role="status">{told}</p><form method="post" action="/login">
<label for="token">A token of this server</label>
<input id="token" name="token" type="password" autocomplete="off" required autofocus> <button>Open</button>
</form></main></body></html>"""


def create_explorer(
    forecasts: Path,
    orders: str,
    model: TrainedModel,
    settings: Settings,
    config: Config | None = None,
) -> APIRouter:
    """Routes of the page. Reads the files, and makes the report once.

    Raises what `clvcast.report` raises.
    """
    base = open_customer_base(forecasts, orders, config, model=model)
    shelf, writing = CustomerIndex.of(base), NumberFormat.of(base.config)
    page = report(base, model=model).page(shelf.filters).encode()
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def show_page() -> Response:
        return Response(page, media_type=_HTML, headers=_NOT_KEPT)

    @router.get("/explore/customers")
    def customers(request: Request) -> Response:
        asked = dict(request.query_params)
        number = asked.pop("page", "0")
        asked.pop("id", None)
        if not number.isdecimal() or len(number) > 9:
            raise Refusal(422, "invalid", "page must be a whole number from 0 on")
        try:
            return _json(_listed(shelf, asked, int(number), writing))
        except ConfigError as error:
            raise Refusal(422, "invalid", str(error)) from None

    @router.get("/explore/customer")
    def customer(request: Request) -> Response:
        customer_id = request.query_params.get("id", "").strip()
        try:
            return _json(_card(shelf, customer_id, request.scope["passage"].model, writing))
        except OrdersError as error:
            raise Refusal(404, "unknown", str(error)) from None

    @router.get("/login")
    def door() -> Response:
        return Response(_LOGIN.format(told=""), media_type=_HTML, headers=_NOT_KEPT)

    @router.post("/login")
    async def enter(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("latin-1"))
        given = fields.get("token", [""])[0]
        if not is_token(given, settings.tokens):
            told = "This is no token of this server."
            return Response(_LOGIN.format(told=told), 401, _NOT_KEPT, media_type=_HTML)
        answer = Response(status_code=303, headers={"Location": "/"} | _NOT_KEPT)
        answer.set_cookie(
            COOKIE,
            given.strip(),
            httponly=True,
            samesite="strict",
            secure=settings.certificate is not None,
        )
        return answer

    return router


def _listed(
    shelf: CustomerIndex, chosen: dict[str, str], page: int, writing: NumberFormat
) -> dict[str, Any]:
    """One page of a selection, as it is written."""
    total = shelf.total(chosen)
    told = f"{writing.count(total['customers'], 'customer')}, expected CLV {writing.money(total['expected'])}"
    if total["expected"] > 0 and total["lower"] == total["lower"]:
        told += f", 90% interval {writing.money_range(total['lower'], total['upper'])}"
    money = f", {writing.currency}" if writing.currency else ""
    columns = {
        "customer_id": ("customer", "text"), "tier": ("tier", "text"), "rfm_segment": ("segment", "text"),
        "risk": ("risk", "text"), "channel": ("channel", "text"), "n_orders": ("orders", "count"),
        "clv": (f"expected CLV{money}", "money"), "clv_lower": (f"at least{money}", "money"),
        "clv_upper": (f"at most{money}", "money"), "churn_probability": ("chance of no order", "share"),
    }  # fmt: skip
    rows = shelf.page(chosen, page)
    columns = {name: told for name, told in columns.items() if name in rows.column_names}
    return {
        "told": f"{told}.",
        "pages": -(-int(total["customers"]) // PAGE_ROWS),
        "headings": [[heading, kind != "text"] for heading, kind in columns.values()],
        "rows": [
            [writing.cell(row[name], kind) for name, (_, kind) in columns.items()]  # type: ignore[arg-type]
            for row in rows.to_pylist()
        ],
    }


def _card(
    shelf: CustomerIndex, customer_id: str, model: TrainedModel, writing: NumberFormat
) -> dict[str, Any]:
    """One customer: the forecast with its interval, why, the orders."""
    row = shelf.customer(customer_id).to_pylist()[0]
    base, history = shelf.base, shelf.history(customer_id)

    def interval(name: str) -> str:
        lower, upper = row.get(f"{name}_lower"), row.get(f"{name}_upper")
        known = lower is not None and upper is not None
        return f"90% interval {writing.money_range(lower, upper)}" if known else ""

    due = row.get("expected_next_order_at")
    window = [row.get(name) for name in ("next_order_from", "next_order_until")]
    facts = [
        [f"Expected CLV in {base.span_days} days", writing.money(row["clv"]), interval("clv")],
        [f"Expected spend in {base.horizon_days} days", writing.money(row["expected_spend"]), interval("expected_spend")],
        ["Chance of no order", writing.share(row["churn_probability"]), f"{row['risk']} risk"],
        ["Next order", "none expected" if due is None else f"{due:%Y-%m-%d}",
         f"between {window[0]:%Y-%m-%d} and {window[1]:%Y-%m-%d}" if all(window) else ""],
        ["Segment", row["rfm_segment"], f"{row['tier']} tier"],
        ["Orders so far", writing.count(row["n_orders"]), f"the last {writing.count(row['days_since_last_order'], 'day')} ago"],
    ]  # fmt: skip
    unit = writing.money_unit
    why: list[list[str]] = []
    note = ""
    try:
        for reason in shelf.reasons(customer_id, model).to_dict("records"):
            value = reason["value"]
            shown = UNKNOWN if value != value else writing.number(value, 2)
            why.append([reason["meaning"], shown, writing.number(reason["amount"])])
    except ClvcastError as error:
        note = f"Why is not known: {error}."
    days = [day for day, _ in history]
    return {
        "title": f"Customer {customer_id}",
        "facts": facts,
        "note": note,
        "why": {
            "headings": [["because of", False], ["its value", True], [unit, True]],
            "rows": why,
        },
        "history": {
            "headings": [["day", False], [f"net, {unit}", True]],
            "rows": [[day, writing.number(amount, 2)] for day, amount in history[:_MOST_HISTORY]],
        },
        "drawn": {
            "x": days,
            "y": [amount for _, amount in history],
            "unit": unit,
            "days": _BAR_DAYS,
        },
    }


def _json(content: object) -> Response:
    return Response(to_json(content), media_type=_JSON, headers=_NOT_KEPT)
