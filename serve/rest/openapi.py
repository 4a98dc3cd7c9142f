"""The OpenAPI document of the server, with every error and examples; see docs/openapi.json."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ...orders.dates import ISO_LOCAL
from .errors import ErrorAnswer
from .handlers import ARROW, JSON, PARQUET
from .schemas import EXPLAIN_REQUEST, FORECAST_REQUEST, RELOAD, build_example_request

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
    400: {"description": "The body is not valid JSON or not a table."},
    401: {"description": "The token is missing or invalid."},
    403: {"description": "Not allowed from this address, or switched off."},
    408: {"description": "The body arrived too slowly."},
    413: {"description": "Too many bytes, customers or order lines."},
    503: {"description": "The server is at its limit; retry after Retry-After seconds."},
}

UNUSABLE: dict[int | str, dict[str, Any]] = {
    415: {"description": "The content type is none of those listed, or the body is compressed."},
    422: {"description": "A field or a query parameter is invalid; the error names its path."},
    504: {"description": "The request took too long."},
}


ADMIN: dict[int | str, dict[str, Any]] = {
    409: {"description": "Another change is running."},
    422: {"description": "The model cannot be used; the current one stays."},
}


def keep_paths(*statuses: int, of: type) -> dict[int | str, dict[str, Any]]:
    """Some of the errors, and the response of status 200."""
    return {s: {"model": of} if s == 200 else REFUSALS[s] for s in statuses}


def describe_forecast_body() -> dict[str, Any]:
    """The body of a forecast request, in each of its forms."""
    lines = {"schema": {"type": "string", "format": "binary"}}
    body = describe_body(FORECAST_REQUEST, build_example_request())
    body["content"] |= {ARROW: lines, PARQUET: lines}
    cutoff = {
        "name": "cutoff",
        "in": "query",
        "required": False,
        "description": "The cutoff, for a body that is a table of order lines; JSON has its own.",
        "schema": {"type": "string", "pattern": f"^{ISO_LOCAL}$"},
    }
    return {"requestBody": body, "parameters": [cutoff]}


def describe_body(adapter: TypeAdapter[Any], example: object) -> dict[str, Any]:
    """A JSON body."""
    schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: every route, schema and error, with examples."""
    if app.openapi_schema:
        return app.openapi_schema
    page = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = page.setdefault("components", {}).setdefault("schemas", {})
    for adapter in (FORECAST_REQUEST, EXPLAIN_REQUEST, RELOAD, TypeAdapter(ErrorAnswer)):
        model_schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
        schemas |= model_schema.pop("$defs", {})
        schemas[model_schema["title"]] = model_schema
    page["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    refusal = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    for path, methods in page["paths"].items():
        for operation in methods.values():
            if path not in ("/livez", "/readyz"):
                operation["security"] = [{}, {"token": []}]
            for status, response in operation["responses"].items():
                response.setdefault("description", "The response.")
                if int(status) >= 400:
                    response["content"] = refusal
    app.openapi_schema = page
    return page
