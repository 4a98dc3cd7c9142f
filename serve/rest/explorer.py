"""Pages for browsers: the report of the loaded forecasts at /, with filters and customer search."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from ...configs.schema import Config
from ...decisions.customer_base import CustomerBase, open_customer_base
from ...decisions.report.build import report
from ...decisions.report.number_format import Kind, NumberFormat
from ...decisions.report.page_model import write_heading
from ...errors import ClvcastError, ConfigError, OrdersError
from ...models.model import TrainedModel
from .auth import COOKIE, LoginLimit, is_token
from .customer_index import PAGE_ROWS, CustomerIndex
from .errors import Refusal
from .settings import Settings

__all__ = ["create_explorer"]

_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_NOT_KEPT = {"Cache-Control": "no-store"}
_MOST_HISTORY = 100
_BAR_DAYS = 3  # width of an order in the chart
_COLUMNS: dict[str, tuple[str, Kind]] = {
    "customer_id": ("customer", "text"),
    "tier": ("tier", "text"),
    "rfm_segment": ("segment", "text"),
    "risk": ("risk", "text"),
    "channel": ("channel", "text"),
    "n_orders": ("orders", "count"),
    "clv": ("expected CLV", "value"),
    "clv_lower": ("CLV, lower bound", "value"),
    "clv_upper": ("CLV, upper bound", "value"),
    "churn_probability": ("churn probability", "share"),
}
_LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; form-action 'self'">
<meta name="color-scheme" content="light dark"><title>clvcast</title>
<style>
body {{
 font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem;
}}
input, button {{ font: inherit; padding: 0.4rem 0.7rem; }}
label {{ display: block; margin-bottom: 0.4rem; }}
</style></head>
<body><main><h1>Customer value report</h1><p role="status">{message}</p>
<form method="post" action="/login">
<label for="token">Token of this server</label>
<input id="token" name="token" type="password" autocomplete="off" required autofocus>
<button>Open</button>
</form></main></body></html>"""


def create_explorer(
    forecasts: Path,
    orders: str,
    model: TrainedModel,
    settings: Settings,
    config: Config | None = None,
) -> APIRouter:
    """Routes of the pages. Reads the files and builds the report once.

    Raises what `clvcast.report` raises.
    """
    base = open_customer_base(forecasts, orders, config, model=model)
    index, writing = CustomerIndex.of(base), NumberFormat.of(base.config, base.terms.basis)
    page = report(base, model=model).page(index.filters).encode()
    router, logins = APIRouter(include_in_schema=False), LoginLimit()

    @router.get("/")
    def show_page() -> Response:
        return Response(page, media_type=_HTML, headers=_NOT_KEPT)

    @router.get("/explore/customers")
    def list_customers(request: Request) -> Response:
        choices = dict(request.query_params)
        number = choices.pop("page", "0")
        choices.pop("id", None)
        if not number.isdecimal() or len(number) > 9:
            raise Refusal(422, "invalid", "page must be a whole number of at least 0")
        try:
            return _respond(_describe_selection(index, choices, int(number), writing))
        except ConfigError as error:
            raise Refusal(422, "invalid", str(error)) from None

    @router.get("/explore/customer")
    def show_customer(request: Request) -> Response:
        customer_id = request.query_params.get("id", "").strip()
        try:
            model = request.scope["context"].model
            return _respond(_describe_customer(index, customer_id, model, writing))
        except OrdersError as error:
            raise Refusal(404, "unknown", str(error)) from None

    @router.get("/login")
    def show_login() -> Response:
        return Response(_LOGIN.format(message=""), media_type=_HTML, headers=_NOT_KEPT)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        address = "" if request.client is None else request.client.host
        logins.check(address)
        fields = parse_qs(request.scope["context"].body.decode("latin-1"))
        token = fields.get("token", [""])[0].strip()
        if not is_token(token, settings.tokens):
            logins.note_failure(address)
            page = _LOGIN.format(message="Invalid token.")
            return Response(page, 401, _NOT_KEPT, media_type=_HTML)
        response = Response(status_code=303, headers={"Location": "/"} | _NOT_KEPT)
        response.set_cookie(
            COOKIE,
            token,
            httponly=True,
            samesite="strict",
            secure=settings.certificate is not None,
        )
        return response

    return router


def _describe_selection(
    index: CustomerIndex, choices: dict[str, str], page: int, writing: NumberFormat
) -> dict[str, Any]:
    """One page of a selection, formatted."""
    total = index.total(choices)
    summary = (
        f"{writing.count(total['customers'], 'customer')}, expected CLV ({writing.basis}) "
        f"{writing.money(total['expected'])}"
    )
    if total["expected"] > 0 and total["lower"] == total["lower"]:
        summary += f", 90% interval {writing.money_range(total['lower'], total['upper'])}"
    rows = index.page(choices, page)
    columns = {name: _COLUMNS[name] for name in _COLUMNS if name in rows.column_names}
    return {
        "summary": f"{summary}.",
        "pages": -(-int(total["customers"]) // PAGE_ROWS),
        "headings": [
            [write_heading(heading, kind, writing), kind != "text"]
            for heading, kind in columns.values()
        ],
        "rows": [
            [writing.cell(row[name], kind) for name, (_, kind) in columns.items()]
            for row in rows.to_pylist()
        ],
    }


def _describe_customer(
    index: CustomerIndex, customer_id: str, model: TrainedModel, writing: NumberFormat
) -> dict[str, Any]:
    """One customer: the forecast with its interval, the reasons, the orders."""
    row = index.customer(customer_id).to_pylist()[0]
    history = index.history(customer_id)
    unit = writing.money_unit
    reasons: list[list[str]] = []
    note = ""
    try:
        for reason in index.reasons(customer_id, model).to_dict("records"):
            value, usual = (writing.number(reason[name], 2) for name in ("value", "typical"))
            reasons.append([reason["meaning"], value, usual, writing.number(reason["amount"])])
    except ClvcastError as error:
        note = f"Reasons are not available: {error}."
    return {
        "title": f"Customer {customer_id}",
        "facts": _list_facts(row, index.base, writing),
        "note": note,
        "reasons": {
            "headings": [
                ["reason", False],
                ["value", True],
                ["typical value", True],
                [writing.value_unit, True],
            ],
            "rows": reasons,
        },
        "history": {
            "headings": [["day", False], [f"net, {unit}", True]],
            "rows": [[day, writing.number(amount, 2)] for day, amount in history[:_MOST_HISTORY]],
        },
        "chart": {
            "x": [day for day, _ in history],
            "y": [amount for _, amount in history],
            "unit": unit,
            "days": _BAR_DAYS,
        },
    }


def _list_facts(
    row: dict[str, Any], base: CustomerBase, writing: NumberFormat
) -> list[tuple[str, str, str]]:
    """Name, value and note of the numbers above a customer's chart."""

    def format_interval(name: str) -> str:
        lower, upper = row.get(f"{name}_lower"), row.get(f"{name}_upper")
        if lower is None or upper is None:
            return ""
        return f"90% interval {writing.money_range(lower, upper)}"

    due = row.get("expected_next_order_at")
    window = [row.get(name) for name in ("next_order_from", "next_order_until")]
    due_note = f"between {window[0]:%Y-%m-%d} and {window[1]:%Y-%m-%d}" if all(window) else ""
    since = writing.count(row["days_since_last_order"], "day")
    return [
        (
            f"Expected CLV in {base.span_days} days: {writing.basis}",
            writing.money(row["clv"]),
            format_interval("clv"),
        ),
        (
            f"Expected spend in {base.horizon_days} days: {base.terms.spend_basis}",
            writing.money(row["expected_spend"]),
            format_interval("expected_spend"),
        ),
        ("Churn probability", writing.share(row["churn_probability"]), f"{row['risk']} risk"),
        ("Next order", "none expected" if due is None else f"{due:%Y-%m-%d}", due_note),
        ("Segment", row["rfm_segment"], f"{row['tier']} tier"),
        ("Orders so far", writing.count(row["n_orders"]), f"the last {since} ago"),
    ]


def _respond(content: object) -> Response:
    return Response(to_json(content), media_type=_JSON, headers=_NOT_KEPT)
