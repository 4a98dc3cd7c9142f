"""The page /docs: the server's requests and responses for people, written from /openapi.json.

It has no script and loads nothing, neither from this server nor from another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

__all__ = ["create_docs", "write_docs"]

_JSON = "application/json"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><title>{title}: requests</title>
<style>
body {{
 font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
}}
pre {{ overflow-x: auto; border: 1px solid; padding: 0.5rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid; padding: 0.2rem 0.6rem; text-align: left; vertical-align: top; }}
</style></head>
<body><main><h1>{title}</h1><p>{summary}</p>
<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI {openapi}).</p>
{operations}
</main></body></html>"""


def create_docs(*, has_tokens: bool) -> APIRouter:
    """The route of the page; `has_tokens`: the server asks for one."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def show_docs(request: Request) -> Response:
        address = str(request.base_url).rstrip("/")
        page = write_docs(request.app.openapi(), address, has_tokens=has_tokens)
        return Response(page, media_type="text/html; charset=utf-8")

    return router


def write_docs(document: Mapping[str, Any], address: str, *, has_tokens: bool) -> str:
    """The page of an OpenAPI document; `address` is the server's, for the commands on it."""
    schemas = document.get("components", {}).get("schemas", {})
    operations = [
        _write_operation(method.upper(), path, operation, schemas, address, has_tokens)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return _PAGE.format(
        title=escape(document["info"]["title"]),
        summary=escape(document["info"].get("summary", "")),
        openapi=escape(document["openapi"]),
        operations="\n".join(operations),
    )


def _write_operation(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    schemas: Mapping[str, Any],
    address: str,
    has_tokens: bool,
) -> str:
    name = f"{method} {path}"
    parts = [f"<h2>{escape(name)}</h2>", f"<p>{escape(operation.get('summary', ''))}</p>"]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    command = f"curl {address}{path}" + ("" if method == "GET" else f" -X {method}")
    if has_tokens and any("token" in one for one in operation.get("security", ())):
        command += " -H 'Authorization: Bearer TOKEN'"
    if body is not None:
        parts.append(_write_fields("request", body["schema"], schemas))
        if "example" in body:
            example = json.dumps(body["example"], indent=1)
            command += f" -H 'Content-Type: {_JSON}' -d '{example}'"
    parts.append(f"<pre>{escape(command)}</pre>")
    answers = operation.get("responses", {})
    good = answers.get("200", {}).get("content", {}).get(_JSON, {}).get("schema")
    if good is not None:
        parts.append(_write_fields("response", good, schemas))
    rows = [(status, answer.get("description", "")) for status, answer in sorted(answers.items())]
    parts.append(_write_table(("status", "meaning"), rows))
    return "\n".join(parts)


def _write_fields(caption: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A table of the fields of an object, those of the objects in it below their names."""
    rows = list(_list_fields(schema, schemas))
    return _write_table((f"field of the {caption}", "type", "meaning"), rows) if rows else ""


def _list_fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], above: str = ""
) -> list[tuple[str, str, str]]:
    rows = []
    needed = _resolve(schema, schemas).get("required", ())
    for name, field in _resolve(schema, schemas).get("properties", {}).items():
        one = _resolve(field, schemas)
        path = f"{above}{name}"
        kinds = [_resolve(each, schemas) for each in one.get("anyOf", [one])]
        words = " or ".join(str(kind.get("type", "any")) for kind in kinds)
        meaning = one.get("description", "")
        rows.append((path, words if name in needed else f"{words}, optional", meaning))
        for kind in kinds:
            if "items" in kind:
                rows += _list_fields(kind["items"], schemas, f"{path}[].")
            elif "properties" in kind:
                rows += _list_fields(kind, schemas, f"{path}.")
    return rows


def _resolve(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference names; a description beside the reference is kept."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**schemas[name], **schema} if name else schema


def _write_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th scope='col'>{escape(text)}</th>" for text in heads)
    lines = [
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
