"""The application: routes over the scorer. Each is thin; the guard around them is what makes them safe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from ...errors import ClvcastError
from ...models.model import TrainedModel
from ...orders.reading.attribute_records import list_attribute_names
from .errors import Refusal
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
    FORECAST_REQUEST,
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

_API_VERSION = "1"
_NO_DATES = "a bundle holds no dates and no measures; serve models:/NAME@ALIAS to have them from the registry"


def create_app(models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The server's application. `pages` are further routers: what people look at in a browser."""
    metrics = Metrics()
    gate = WorkerPool(settings.limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        metrics.serves(models.current.version)
        warming = asyncio.create_task(asyncio.to_thread(models.warm))
        yield
        await warming
        gate.close()

    app = FastAPI(
        title="clvcast",
        version=_API_VERSION,
        summary="Order histories in, customer lifetime value forecasts out.",
        lifespan=life,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.include_router(_routes(models, settings, metrics, gate))
    for router in pages:
        app.include_router(router)
    app.add_middleware(Middleware, models=models, settings=settings, metrics=metrics)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _failed)
    app.openapi = lambda: build_openapi(app)  # type: ignore[method-assign]
    return app


def _routes(
    models: ModelHolder, settings: Settings, metrics: Metrics, gate: WorkerPool
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
        passage: RequestContext = request.scope["passage"]
        body = await request.body()
        kind = _kind(request)
        if kind == JSON and passage.is_small:
            answer = answer_json(passage.model, body, limits)
        elif kind == JSON:
            answer = await gate.run(answer_json, passage.model, body, limits)
        elif kind in (ARROW, PARQUET):
            accepted = request.headers.get("accept", JSON)
            cutoff = request.query_params.get("cutoff")
            answer = await gate.run(
                answer_table, passage.model, body, kind, cutoff, accepted, limits
            )
        else:
            raise Refusal(
                415, "unsupported", f"the content type must be {JSON}, {ARROW} or {PARQUET}"
            )
        passage.customers = answer.customers
        return Response(answer.body, media_type=answer.media_type)

    @router.post(
        "/v1/explain",
        summary="Explain forecasts: amounts of money that add up to each CLV",
        responses={**keep_paths(200, 400, 401, 403, 408, 413, 503, of=ExplainAnswer), **UNUSABLE},
        openapi_extra={"requestBody": describe_body(FORECAST_REQUEST, build_example_request())},
    )
    async def explain(request: Request) -> Response:
        passage: RequestContext = request.scope["passage"]
        body = await request.body()
        if _kind(request) != JSON:
            raise Refusal(415, "unsupported", f"the content type must be {JSON}")
        answer = await gate.run(explain_json, passage.model, body, limits)
        passage.customers = answer.customers
        return Response(answer.body, media_type=answer.media_type)

    @router.get(
        "/v1/model",
        summary="The model that answers",
        responses=keep_paths(200, 401, 403, of=ModelAnswer),
    )
    async def model(request: Request) -> Response:
        return _json(_about(request.scope["passage"].model, models.previous))

    @router.post(
        "/v1/reload",
        summary="Take another model, proved in a process of its own (admin token)",
        responses={**keep_paths(200, 400, 401, 403, 408, 413, 503, of=Reloaded), **ADMIN},
        openapi_extra={"requestBody": describe_body(RELOAD, {"model": "models:/clv@champion"})},
    )
    async def reload(request: Request) -> Response:
        wanted: Reload = parse_body(RELOAD, await request.body())
        return await _change(request, lambda: models.reload(wanted["model"]))

    @router.post(
        "/v1/rollback",
        summary="Go back to the previous model (admin token)",
        responses={**keep_paths(200, 401, 403, 408, 413, of=Reloaded), **ADMIN},
    )
    async def rollback(request: Request) -> Response:
        return await _change(request, models.rollback)

    async def _change(request: Request, change: Callable[[], TrainedModel]) -> Response:
        passage: RequestContext = request.scope["passage"]
        try:
            passage.model = await asyncio.to_thread(change)
        except BlockingIOError:
            raise Refusal(409, "changing", "another model is being loaded; come again") from None
        except ClvcastError as error:
            raise Refusal(422, "unusable_model", str(error)) from None
        metrics.serves(passage.model.version)
        return _json(
            Reloaded(
                model_version=passage.model.version, previous_version=_version(models.previous)
            )
        )

    @router.get("/livez", summary="Whether the server lives", responses=keep_paths(200, of=Status))
    async def livez(request: Request) -> Response:
        version = request.scope["passage"].model.version
        return _json(Status(status="live", model_version=version))

    @router.get(
        "/readyz",
        summary="Whether it is warm and answers",
        responses={**keep_paths(200, of=Status), 503: REFUSALS[503]},
    )
    async def readyz(request: Request) -> Response:
        if not models.is_warm:
            raise Refusal(503, "warming", "the server is warming up", headers={"Retry-After": "1"})
        version = request.scope["passage"].model.version
        return _json(Status(status="ready", model_version=version))

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        responses={200: {"content": {"text/plain": {}}}, 401: REFUSALS[401], 403: REFUSALS[403]},
        response_class=Response,
    )
    async def text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _version(model: TrainedModel | None) -> str | None:
    return None if model is None else model.version


def _about(model: TrainedModel, previous: TrainedModel | None) -> ModelAnswer:
    numbers, known = model.numbers, model.registered
    return ModelAnswer(
        model_version=model.version,
        previous_version=_version(previous),
        horizon_days=numbers.horizon_days,
        periods=model.periods,
        clv_days=numbers.horizon_days * model.periods,
        currency=model.orders.currency,
        timezone=model.orders.timezone,
        margin_rate=model.economics.margin_rate,
        annual_discount_rate=model.economics.annual_discount_rate,
        needed_columns=list(numbers.optional_columns),
        needed_attributes=_needed_attributes(model),
        features=list(numbers.features),
        trained_until=None if known is None else known.cutoff,
        data_span=None if known is None else known.data_span,
        measures=None if known is None else dict(known.measures),
        registry=None if known is None else f"{known.name}/{known.number}",
        remark=_NO_DATES if known is None else None,
    )


def _needed_attributes(model: TrainedModel) -> dict[str, str]:
    config = model.customers
    if config is None:
        return {}
    return {name: config.types.get(name, "text") for name in list_attribute_names(config)}


def _json(content: object, status: int = 200) -> Response:
    return Response(to_json(content), status, media_type=JSON)


def _answer(request: Request, refusal: Refusal) -> Response:
    passage: RequestContext = request.scope["passage"]
    passage.code = refusal.code
    body = refusal.body(passage.model.version, passage.request_id)
    return Response(body, refusal.status, refusal.headers, media_type=JSON)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _answer(request, refusal)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "not_allowed"}.get(error.status_code, "refused")
    return _answer(request, Refusal(error.status_code, code, error.detail, headers=error.headers))


async def _failed(request: Request, error: Exception) -> Response:
    return _answer(
        request, Refusal(500, "failed", "the server failed; its log names the request's id")
    )


def build_document() -> str:
    """docs/openapi.json: the description, made without a server or a model."""
    routes = FastAPI(
        title="clvcast",
        version=_API_VERSION,
        summary="Order histories in, customer lifetime value forecasts out.",
    )
    settings = Settings()
    routes.include_router(_routes(None, settings, Metrics(), WorkerPool(settings.limits)))  # type: ignore[arg-type]
    return json.dumps(build_openapi(routes), indent=1) + "\n"


if __name__ == "__main__":
    place = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
    place.write_text(build_document(), encoding="utf-8")
