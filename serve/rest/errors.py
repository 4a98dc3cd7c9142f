"""Refusals: every answer that is no forecast. They name the rule and the field, never the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired

from pydantic_core import to_json
from typing_extensions import TypedDict

__all__ = ["ErrorAnswer", "FieldError", "Refusal"]


class FieldError(TypedDict):
    """One broken rule: where (customers[0].orders[2].amount) and which."""

    path: str
    rule: str


class _Error(TypedDict):
    code: str
    message: str
    faults: NotRequired[list[FieldError]]


class ErrorAnswer(TypedDict):
    """What every refusal looks like; it repeats nothing of what was sent but the names of fields."""

    error: _Error
    model_version: str
    request_id: str


class Refusal(Exception):  # noqa: N818 - it is an answer, and often not the server's error
    """An answer with an error status."""

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

    def body(self, model_version: str, request_id: str) -> bytes:
        """The answer as JSON."""
        error = _Error(code=self.code, message=self.message)
        if self.faults:
            error["faults"] = self.faults
        return to_json(ErrorAnswer(error=error, model_version=model_version, request_id=request_id))
