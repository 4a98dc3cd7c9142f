"""The description of the server: OpenAPI with every refusal and examples; docs/openapi.json is a copy."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from .errors import ErrorAnswer
from .handlers import ARROW, JSON, PARQUET
from .schemas import FORECAST_REQUEST, RELOAD, build_example_request

__all__ = [
    "ADMIN",
    "REFUSALS",
    "UNUSABLE",
    "build_openapi",
    "describe_body",
    "describe_forecast_body",
    "keep_paths",
]

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is no JSON, or no table."},
    401: {"description": "No valid token."},
    403: {"description": "Not from here, or switched off."},
    408: {"description": "The body came too slowly."},
    413: {"description": "Too many bytes, customers or order lines."},
    503: {"description": "At its limit; come again after Retry-After seconds."},
}

UNUSABLE: dict[int | str, dict[str, Any]] = {
    415: {"description": "Another content type than those listed."},
    422: {"description": "A field breaks a rule; its path is named."},
    504: {"description": "It took too long."},
}


ADMIN: dict[int | str, dict[str, Any]] = {
    409: {"description": "Another change is on its way."},
    422: {"description": "The model cannot be used; the old one answers on."},
}


def keep_paths(*statuses: int, of: type) -> dict[int | str, dict[str, Any]]:
    """Some refusals, and the answer of 200."""
    return {s: {"model": of} if s == 200 else REFUSALS[s] for s in statuses}


def describe_forecast_body() -> dict[str, Any]:
    """The body of a request for forecasts, in each of its forms."""
    lines = {"schema": {"type": "string", "format": "binary"}}
    body = describe_body(FORECAST_REQUEST, build_example_request())
    body["content"] |= {ARROW: lines, PARQUET: lines}
    cutoff = {
        "name": "cutoff",
        "in": "query",
        "required": False,
        "description": "The cutoff, where the body is a table of order lines.",
        "schema": {"type": "string", "format": "date"},
    }
    return {"requestBody": body, "parameters": [cutoff]}


def describe_body(adapter: TypeAdapter[Any], example: object) -> dict[str, Any]:
    """A body of JSON."""
    schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description: every route, payload and refusal, with examples."""
    if app.openapi_schema:
        return app.openapi_schema
    page = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = page.setdefault("components", {}).setdefault("schemas", {})
    for adapter in (FORECAST_REQUEST, RELOAD, TypeAdapter(ErrorAnswer)):
        own = adapter.json_schema(ref_template="#/components/schemas/{model}")
        schemas |= own.pop("$defs", {})
        schemas[own["title"]] = own
    page["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    refusal = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    for path, methods in page["paths"].items():
        for operation in methods.values():
            if path not in ("/livez", "/readyz"):
                operation["security"] = [{}, {"token": []}]
            for status, response in operation["responses"].items():
                response.setdefault("description", "The answer.")
                if int(status) >= 400:
                    response["content"] = refusal
    app.openapi_schema = page
    return page
