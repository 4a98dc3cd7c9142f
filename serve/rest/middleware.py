"""What every request passes before a route sees it, and what is logged and counted of it after."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...models.model import TrainedModel
from .auth import HEALTH_PATHS, authorise
from .errors import Refusal
from .logs import request_logger
from .metrics import Metrics
from .model_holder import ModelHolder
from .request_limits import (
    ARRIVAL,
    CONNECTIONS,
    LONGEST_HEAD,
    TOO_MANY,
    BodyReader,
    LoadShedder,
    too_many_requests,
)
from .settings import Settings

__all__ = ["Middleware", "RequestContext"]

_ON_THE_LOOP = "/v1/forecasts"  # when its body is small
_LARGE_BODIES = ("/v1/forecasts", "/v1/explain")  # the pool parses them; the loop parses others
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ONCE = (b"authorization", b"host", b"content-length", b"content-type")  # proxies read either
_POLICY = b"content-security-policy"
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
# of an answer that is no page; a page has its own beside it, and both hold
_NO_CONTENT = b"default-src 'none'; frame-ancestors 'none'"
_NO_FRAMES = b"frame-ancestors 'none'"


@dataclass
class RequestContext:
    """A request: its id, the model that serves all of it, its body, and the outcome."""

    request_id: str
    model: TrainedModel
    body: bytes = b""
    status: int = 500
    customers: int = 0
    code: str = ""  # of an error response
    is_small: bool = False  # answered on the loop


class Middleware:
    """Tokens, body limits, ids, metrics and logs around an ASGI application."""

    def __init__(
        self, app: ASGIApp, models: ModelHolder, settings: Settings, metrics: Metrics
    ) -> None:
        self._app, self._models, self._settings, self._metrics = app, models, settings, metrics
        self._bodies = BodyReader(settings.limits)
        self._shedder = LoadShedder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's call: one request, or the life of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        headers = dict(scope["headers"])
        requested_id = headers.get(b"x-request-id", b"")
        is_valid = _REQUEST_ID.fullmatch(requested_id)
        request_id = requested_id.decode() if is_valid else uuid.uuid4().hex
        context = scope["context"] = RequestContext(request_id, self._models.current)
        self._metrics.in_flight.inc()
        try:
            await self._handle(scope, headers, receive, _add_headers(context, send))
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, context, time.perf_counter() - begin)
            if context.is_small:
                self._shedder.answered()

    async def _handle(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        context: RequestContext = scope["context"]
        try:
            pairs: list[tuple[bytes, bytes]] = scope["headers"]
            if sum(len(name) + len(value) for name, value in pairs) > LONGEST_HEAD:
                raise Refusal(400, "long_head", f"a head must have at most {LONGEST_HEAD} bytes")
            names = [name for name, _ in pairs]
            for name in _ONCE:
                if names.count(name) > 1:
                    rule = f"the header {name.decode()} must be given once, got it several times"
                    raise Refusal(400, "repeated_header", rule)
            if scope.get(TOO_MANY) and scope["path"] not in HEALTH_PATHS:
                raise too_many_requests(close=True)
            authorise(
                scope["path"],
                headers,
                self._settings.tokens,
                is_loopback=self._settings.is_loopback,
            )
            limits = self._settings.limits
            is_large = scope["path"] in _LARGE_BODIES
            most = limits.body_bytes if is_large else limits.control_bytes
            context.body = await self._bodies.read(receive, headers.get(b"content-length"), most)
            context.is_small = self._is_small(scope["path"], context.body)
            if context.is_small:  # here, not in a route: to reject a request must cost little
                self._shedder.check(scope.get(ARRIVAL), scope.get(CONNECTIONS, 1))
        except Refusal as refusal:
            context.code = refusal.code
            response = refusal.respond(context.model.version, context.request_id)
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_small(self, path: str, body: bytes) -> bool:
        """Whether a request takes milliseconds, valid or not; before the warm-up none does."""
        limits = self._settings.limits
        if path != _ON_THE_LOOP or not self._models.is_warm or len(body) > limits.small_bytes:
            return False
        return body.count(b",") <= limits.small_commas

    def _record(self, scope: Scope, context: RequestContext, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "none"
        self._metrics.requests.labels(route, str(context.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        self._metrics.customers.inc(context.customers)
        if context.status >= 400:
            self._metrics.refused.labels(context.code or str(context.status)).inc()
        if request_logger.isEnabledFor(logging.INFO):
            fields = {
                "event": "request",
                "request_id": context.request_id,
                "method": scope["method"],
                "route": route,
                "status": context.status,
                "milliseconds": round(seconds * 1000, 3),
                "customers": context.customers,
                "model_version": context.model.version,
            }
            request_logger.info("", extra={"fields": fields})


def _add_headers(context: RequestContext, send: Send) -> Send:
    """`send` with the request's id and the model's version on the response."""
    headers = [
        (b"x-request-id", context.request_id.encode()),
        (b"x-model-version", context.model.version.encode()),
        *_SECURITY_HEADERS,
    ]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            context.status = message["status"]
            current_headers = message.get("headers", ())
            is_page = any(
                n == b"content-type" and v.startswith(b"text/html") for n, v in current_headers
            )
            policy = (_POLICY, _NO_FRAMES if is_page else _NO_CONTENT)
            message["headers"] = [*current_headers, *headers, policy]
        await send(message)

    return send_with_headers
