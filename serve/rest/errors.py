"""Error responses of the server: they name the rule and the field, never the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired

from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from ...orders.reading.validation_issues import pluralize

__all__ = ["MAX_FAULTS", "ErrorAnswer", "FieldError", "Refusal", "build_invalid_request"]

MAX_FAULTS = 20  # named in one response


class FieldError(TypedDict):
    """One broken rule: where (customers[0].orders[2].amount) and which."""

    path: str
    rule: str


class _Error(TypedDict):
    code: str
    message: str
    faults: NotRequired[list[FieldError]]


class ErrorAnswer(TypedDict):
    """The body of every error response; of the request it repeats only names of fields."""

    error: _Error
    model_version: str
    request_id: str


class Refusal(Exception):  # noqa: N818 - a response, and often the client's error
    """A response with an error status."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        faults: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.faults, self.headers = list(faults), dict(headers or {})

    def respond(self, model_version: str, request_id: str) -> Response:
        """The response as JSON."""
        error = _Error(code=self.code, message=self.message)
        if self.faults:
            error["faults"] = self.faults
        body = ErrorAnswer(error=error, model_version=model_version, request_id=request_id)
        return Response(to_json(body), self.status, self.headers, media_type="application/json")


def build_invalid_request(faults: Sequence[FieldError], count: int | None = None) -> Refusal:
    """The error of a request that breaks rules: the first 20 of its `count` faults are named."""
    count = len(faults) if count is None else count
    message = f"the request has {pluralize(count, 'fault')}"
    if count > MAX_FAULTS:
        message += f", {MAX_FAULTS} of them named"
    return Refusal(422, "invalid", message, faults[:MAX_FAULTS])
