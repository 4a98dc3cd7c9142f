"""The application: thin routes over the scorer; middleware around them enforces the limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from ...errors import ClvcastError
from ...models.model import TrainedModel
from ...models.scoring import describe_terms
from ...orders.reading.attribute_records import list_attribute_names
from .docs_page import create_docs
from .errors import FieldError, Refusal, build_invalid_request
from .handlers import ARROW, JSON, PARQUET, answer_json, answer_table, explain_json
from .metrics import Metrics
from .middleware import Middleware, RequestContext
from .model_holder import ModelHolder
from .openapi import (
    ADMIN,
    REFUSALS,
    UNUSABLE,
    build_openapi,
    describe_body,
    describe_forecast_body,
    keep_paths,
)
from .request_limits import WorkerPool
from .schemas import (
    EXPLAIN_REQUEST,
    RELOAD,
    ExplainAnswer,
    ForecastAnswer,
    ModelAnswer,
    Reload,
    Reloaded,
    Status,
    build_example_request,
    parse_body,
)
from .settings import Settings

__all__ = ["build_document", "build_openapi", "create_app"]

_ABOUT: dict[str, Any] = {
    "title": "clvcast",
    "version": "1",  # of the API
    "summary": "Order histories in, customer lifetime value forecasts out.",
}
_LONGEST_NAME = 64  # of a query parameter in an error
_CHARSETS = ("utf-8", "utf8", "us-ascii")
_NO_DATES = (
    "a bundle holds no dates and no measures; serve models:/NAME@ALIAS to get them from the "
    "registry"
)


def create_app(models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The server's application; `pages` are further routers, for browsers."""
    metrics = Metrics()
    pool = WorkerPool(settings.limits)

    @asynccontextmanager
    async def run_lifespan(_: FastAPI) -> AsyncIterator[None]:
        metrics.set_model(models.current.version)
        warming = asyncio.create_task(asyncio.to_thread(models.warm))
        yield
        await warming
        pool.close()

    app = FastAPI(
        **_ABOUT,
        lifespan=run_lifespan,
        docs_url=None,  # these pages load scripts from other hosts; docs_page loads nothing
        redoc_url=None,
    )
    app.include_router(_create_routes(models, settings, metrics, pool))
    for router in pages or (_create_index(settings.has_docs),):
        app.include_router(router)
    if settings.has_docs:
        has_tokens = bool(settings.tokens.forecast or settings.tokens.admin)
        app.include_router(create_docs(has_tokens=has_tokens))
    app.add_middleware(Middleware, models=models, settings=settings, metrics=metrics)
    for kind in (Refusal, HTTPException, Exception):
        app.add_exception_handler(kind, _respond_to_error)
    app.openapi = lambda: build_openapi(app)  # type: ignore[method-assign]
    return app


def _create_index(has_docs: bool) -> APIRouter:
    """What is where, for whoever opens the server's address."""
    router = APIRouter()
    links = {
        "forecast": "POST /v1/forecasts",
        "explain": "POST /v1/explain",
        "model": "GET /v1/model",
        "openapi": "GET /openapi.json",
        "alive": "GET /livez",
        "ready": "GET /readyz",
        "metrics": "GET /metrics",
    }
    if has_docs:
        links["docs"] = "GET /docs"

    @router.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        version = request.scope["context"].model.version
        return _respond({"name": "clvcast", "model_version": version, "links": links})

    return router


def _create_routes(
    models: ModelHolder, settings: Settings, metrics: Metrics, pool: WorkerPool
) -> APIRouter:
    router = APIRouter()
    limits = settings.limits

    @router.post(
        "/v1/forecasts",
        summary="Forecast 1 to 1,000 customers from their orders",
        responses={
            200: {"model": ForecastAnswer, "content": {ARROW: {}}},
            **REFUSALS,
            **UNUSABLE,
        },
        openapi_extra=describe_forecast_body(),
    )
    async def forecasts(request: Request) -> Response:
        context: RequestContext = request.scope["context"]
        kind = _read_content_type(request)
        _check_query(request, () if kind == JSON else ("cutoff",))
        if kind == JSON and context.is_small:
            answer = answer_json(context.model, context.body, limits)
        elif kind == JSON:
            answer = await pool.run(answer_json, context.model, context.body, limits)
        elif kind in (ARROW, PARQUET):
            accepted = request.headers.get("accept", JSON)
            cutoff = request.query_params.get("cutoff")
            answer = await pool.run(
                answer_table, context.model, context.body, kind, cutoff, accepted, limits
            )
        else:
            raise Refusal(
                415, "unsupported", f"the content type must be {JSON}, {ARROW} or {PARQUET}"
            )
        context.customers = answer.customers
        return Response(answer.body, media_type=answer.media_type)

    @router.post(
        "/v1/explain",
        summary="Explain forecasts: amounts that add up to each CLV",
        responses={**keep_paths(200, 400, 401, 403, 408, 413, 503, of=ExplainAnswer), **UNUSABLE},
        openapi_extra={"requestBody": describe_body(EXPLAIN_REQUEST, build_example_request())},
    )
    async def explain(request: Request) -> Response:
        context: RequestContext = request.scope["context"]
        if _read_content_type(request) != JSON:
            raise Refusal(415, "unsupported", f"the content type must be {JSON}")
        _check_query(request, ())
        answer = await pool.run(explain_json, context.model, context.body, limits)
        context.customers = answer.customers
        return Response(answer.body, media_type=answer.media_type)

    @router.get(
        "/v1/model",
        summary="The model in use",
        responses=keep_paths(200, 401, 403, of=ModelAnswer),
    )
    async def model(request: Request) -> Response:
        return _respond(_describe_model(request.scope["context"].model, models.previous))

    @router.post(
        "/v1/reload",
        summary="Load another model, verified in a process of its own (admin token)",
        responses={**keep_paths(200, 400, 401, 403, 408, 413, 503, of=Reloaded), **ADMIN},
        openapi_extra={"requestBody": describe_body(RELOAD, {"model": "models:/clv@champion"})},
    )
    async def reload(request: Request) -> Response:
        requested: Reload = parse_body(RELOAD, request.scope["context"].body, limits)
        name, expected = requested["model"], requested.get("expect_sha256")
        return await _change(request, lambda: models.reload(name, expected))

    @router.post(
        "/v1/rollback",
        summary="Return to the previous model (admin token)",
        responses={**keep_paths(200, 401, 403, 408, 413, of=Reloaded), **ADMIN},
    )
    async def rollback(request: Request) -> Response:
        return await _change(request, models.rollback)

    async def _change(request: Request, change: Callable[[], TrainedModel]) -> Response:
        context: RequestContext = request.scope["context"]
        try:
            context.model = await asyncio.to_thread(change)
        except BlockingIOError:
            raise Refusal(
                409, "changing", "another model is being loaded; try again later"
            ) from None
        except ClvcastError as error:
            raise Refusal(422, "unusable_model", str(error)) from None
        metrics.set_model(context.model.version)
        return _respond(
            Reloaded(
                model_version=context.model.version,
                previous_version=_get_version(models.previous),
            )
        )

    @router.get(
        "/livez", summary="Whether the server is running", responses=keep_paths(200, of=Status)
    )
    async def livez(request: Request) -> Response:
        return _respond(Status(status="live", model_version=request.scope["context"].model.version))

    @router.get(
        "/readyz",
        summary="Whether the server is warmed up",
        responses={**keep_paths(200, of=Status), 503: REFUSALS[503]},
    )
    async def readyz(request: Request) -> Response:
        if not models.is_warm:
            raise Refusal(503, "warming", "the server is warming up", headers={"Retry-After": "1"})
        return _respond(
            Status(status="ready", model_version=request.scope["context"].model.version)
        )

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        responses={200: {"content": {"text/plain": {}}}, 401: REFUSALS[401], 403: REFUSALS[403]},
        response_class=Response,
    )
    async def text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _read_content_type(request: Request) -> str:
    """The content type; 415 for packed bodies and for text in another encoding than UTF-8."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "unsupported", "the body must not be compressed: no Content-Encoding")
    content_type = request.headers.get("content-type", "")
    kind, _, parameters = content_type.partition(";")
    if parameters:
        message = Message()
        message["content-type"] = content_type
        charset = message.get_param("charset", "utf-8")
        if not isinstance(charset, str) or charset.lower() not in _CHARSETS:
            raise Refusal(415, "unsupported", "the charset must be utf-8, or be left out")
    return kind.strip().lower()


def _check_query(request: Request, known: Sequence[str]) -> None:
    """Refuse query parameters that would be overlooked, such as another cutoff beside a body's."""
    names = [name for name, _ in request.query_params.multi_items()]
    faults = [
        FieldError(
            path=name[:_LONGEST_NAME],
            rule="stands twice in the query" if name in known else "is no parameter of this query",
        )
        for place, name in enumerate(names)
        if name not in known or name in names[:place]
    ]
    if faults:
        raise build_invalid_request(faults[:1])


def _get_version(model: TrainedModel | None) -> str | None:
    return None if model is None else model.version


def _describe_model(model: TrainedModel, previous: TrainedModel | None) -> ModelAnswer:
    numbers, facts, config = model.numbers, model.registered, model.customers
    names = () if config is None else list_attribute_names(config)
    kinds = {} if config is None else config.types
    terms = describe_terms(model)
    return ModelAnswer(
        model_version=model.version,
        previous_version=_get_version(previous),
        horizon_days=numbers.horizon_days,
        periods=model.periods,
        clv_days=numbers.horizon_days * model.periods,
        currency=model.orders.currency,
        timezone=model.orders.timezone,
        margin_rate=model.economics.margin_rate,
        margin_source=model.economics.margin_source,
        basis=terms.basis,
        annual_discount_rate=model.economics.annual_discount_rate,
        retention_source=terms.retention_source,
        needed_columns=list(numbers.optional_columns),
        needed_attributes={name: kinds.get(name, "text") for name in names},
        features=list(numbers.features),
        trained_until=None if facts is None else facts.cutoff,
        data_span=None if facts is None else facts.data_span,
        measures=None if facts is None else dict(facts.measures),
        registry=None if facts is None else f"{facts.name}/{facts.number}",
        remark=_NO_DATES if facts is None else facts.caveat,
    )


def _respond(content: object) -> Response:
    return Response(to_json(content), media_type=JSON)


async def _respond_to_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):  # of the router
        code = {404: "not_found", 405: "not_allowed"}.get(error.status_code, "refused")
        error = Refusal(error.status_code, code, error.detail, headers=error.headers)
    elif not isinstance(error, Refusal):
        error = Refusal(500, "failed", "the server failed; see its log for the request's id")
    context: RequestContext = request.scope["context"]
    context.code = error.code
    return error.respond(context.model.version, context.request_id)


def build_document() -> str:
    """The text of docs/openapi.json, built without a server or a model."""
    app = FastAPI(**_ABOUT)
    no_models: Any = None
    settings = Settings()
    app.include_router(_create_routes(no_models, settings, Metrics(), WorkerPool(settings.limits)))
    return json.dumps(build_openapi(app), indent=1) + "\n"


if __name__ == "__main__":
    document = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
    document.write_text(build_document(), encoding="utf-8")
