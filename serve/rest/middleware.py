"""The guard: what every request passes before a route sees it, and what is noted of it after."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from ...models.model import TrainedModel
from .auth import HEALTH_PATHS, authorise
from .errors import Refusal
from .load_shedding import ARRIVAL, CONNECTIONS, TOO_MANY, LoadShedder
from .logs import request_logger
from .metrics import Metrics
from .model_holder import ModelHolder
from .request_limits import LONGEST_HEAD, BodyReader, Receive, too_many_requests
from .settings import Settings

__all__ = ["Middleware", "RequestContext"]

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
_ON_THE_LOOP = "/v1/forecasts"  # where its body is small
_GONE = 499  # nobody is there to read it; for the log and the metrics
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass
class RequestContext:
    """One request on its way: its id, the model that answers all of it, and what came of it."""

    request_id: str
    model: TrainedModel
    status: int = 500
    customers: int = 0
    code: str = ""  # of the refusal
    is_small: bool = False  # answered on the loop


class Middleware:
    """Tokens, body limits, slow clients, ids, metrics and logs around an ASGI application."""

    def __init__(self, app: App, models: ModelHolder, settings: Settings, metrics: Metrics) -> None:
        self._app, self._models, self._settings, self._metrics = app, models, settings, metrics
        self._bodies = BodyReader(settings.limits)
        self._backlog = LoadShedder()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI's call: one request, or the life of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        headers = dict(scope["headers"])
        stated = headers.get(b"x-request-id", b"")
        request_id = stated.decode() if _REQUEST_ID.fullmatch(stated) else uuid.uuid4().hex
        passage = scope["passage"] = RequestContext(request_id, self._models.current)
        self._metrics.in_flight.inc()
        answer = self._noting(passage, send)
        try:
            await self._admit(scope, headers, receive, answer)
        finally:
            self._metrics.in_flight.dec()
            self._note(scope, passage, time.perf_counter() - begin)
            if passage.is_small:
                self._backlog.answered()

    async def _admit(
        self,
        scope: MutableMapping[str, Any],
        headers: Mapping[bytes, bytes],
        receive: Receive,
        answer: Send,
    ) -> None:
        passage: RequestContext = scope["passage"]
        try:
            if sum(map(len, headers)) + sum(map(len, headers.values())) > LONGEST_HEAD:
                raise Refusal(400, "long_head", f"a head must have at most {LONGEST_HEAD} bytes")
            if scope.get(TOO_MANY) and scope["path"] not in HEALTH_PATHS:
                raise too_many_requests(close=True)
            authorise(
                scope["path"],
                headers,
                self._settings.tokens,
                is_loopback=self._settings.is_loopback,
            )
            body = await self._bodies.read(receive, headers.get(b"content-length"))
            passage.is_small = self._is_small(scope["path"], body)
            if passage.is_small:  # here, not in a route: to turn somebody away must cost little
                self._backlog.check(scope.get(ARRIVAL), scope.get(CONNECTIONS, 1))
        except Refusal as refusal:
            passage.code = refusal.code
            await send_refusal(refusal, passage, answer)
        else:
            await self._app(scope, _replay(body, receive), answer)

    def _is_small(self, path: str, body: bytes) -> bool:
        """Whether a request takes milliseconds, be it right or wrong; until the server is warm none does."""
        limits = self._settings.limits
        if path != _ON_THE_LOOP or not self._models.is_warm or len(body) > limits.small_bytes:
            return False
        return body.count(b",") <= limits.small_commas

    def _noting(self, passage: RequestContext, send: Send) -> Send:
        """The way back: the id and the model's version on every answer, and no waiting for who takes none."""
        headers = [
            (b"x-request-id", passage.request_id.encode()),
            (b"x-model-version", passage.model.version.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                passage.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        return answer

    def _note(
        self, scope: MutableMapping[str, Any], passage: RequestContext, seconds: float
    ) -> None:
        route = getattr(scope.get("route"), "path", None) or "none"
        self._metrics.requests.labels(route, str(passage.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        self._metrics.customers.inc(passage.customers)
        if passage.status >= 400:
            self._metrics.refused.labels(passage.code or str(passage.status)).inc()
        if request_logger.isEnabledFor(logging.INFO):
            fields = {
                "event": "request",
                "request_id": passage.request_id,
                "method": scope["method"],
                "route": route,
                "status": passage.status,
                "milliseconds": round(seconds * 1000, 3),
                "customers": passage.customers,
                "model_version": passage.model.version,
            }
            request_logger.info("", extra={"fields": fields})


async def send_refusal(refusal: Refusal, passage: RequestContext, send: Send) -> None:
    """Send a refusal as an answer; nothing to a client that is gone."""
    if refusal.status == _GONE:
        passage.status = _GONE
        return
    body = refusal.body(passage.model.version, passage.request_id)
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    headers |= {name.lower(): value for name, value in refusal.headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever else the connection says."""
    given = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
