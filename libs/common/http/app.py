"""Makes the FastAPI application that every service is: routes, problems, probes, metrics, one middleware."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.common.audit.asker import Asker
from libs.common.audit.trail import AuditTrail
from libs.common.errors import TallystickError, TooManyRequests, Unavailable
from libs.common.field_errors import FIELD_ERRORS_MAX, field_error
from libs.common.http.audited import Audited
from libs.common.http.auth import TokenVerifier
from libs.common.http.client_address import TrustedProxies
from libs.common.http.cors import CrossOrigin
from libs.common.http.edge import Admission, Edge
from libs.common.http.gate import GuardedEndpoint, require_declared
from libs.common.http.health import Health
from libs.common.http.hot import HotEndpoint
from libs.common.http.idempotency import AnsweredBefore, on_answered_before
from libs.common.http.json_bodies import not_json
from libs.common.http.known_query import KnownQueries
from libs.common.http.metrics_route import metrics_route
from libs.common.http.openapi import name_actions
from libs.common.http.problems import error_response, problem_response
from libs.common.telemetry.traces import exporting_spans

_HTTP_CODES: Final = {
    400: "malformed_request",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "content_type_not_accepted",
}
_BAD_REQUEST: Final = 400
_METHOD_NOT_ALLOWED: Final = 405
_SERVER_FAULT: Final = 500

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Application(FastAPI):
    """FastAPI inside our edge, which must be outermost: it answers hot endpoints without the framework."""

    def __init__(  # noqa: PLR0913 -- all by keyword, as below
        self,
        *,
        hot: Mapping[str, GuardedEndpoint],
        readable: Collection[str],
        queries: KnownQueries,
        proxies: TrustedProxies | None,
        admission: Admission | None,
        cors_origins: Collection[str],
        audit: AuditTrail | None,
        declared: Sequence[BaseRoute],
        body_bounds: Mapping[str, int],
        **options: Any,
    ) -> None:
        """Make it; options are FastAPI's. `declared` are the routes, each of which says which action it is."""
        super().__init__(**options)
        self._declared = declared
        self.hot = hot
        """path → endpoint; the server's protocol answers these itself."""
        self.proxies = proxies
        """Who may say where a request comes from; the server's protocol asks it, too."""
        inner: ASGIApp = super().__call__
        audited = inner if audit is None else Audited(inner, audit)
        edge = Edge(audited, hot, readable, queries, proxies, admission, body_bounds)
        self.is_cross_origin = bool(cors_origins)
        """Whether the server's protocol must not answer what comes from a page of another origin."""
        self._outermost: ASGIApp = CrossOrigin(edge, cors_origins) if cors_origins else edge

    def openapi(self) -> dict[str, Any]:
        """Return the service's document, in which each operation names its action."""
        if self.openapi_schema is None:
            name_actions(super().openapi(), self._declared)
        return super().openapi()

    def methods_at(self, scope: Scope) -> set[str]:
        """Return the methods of every route with this path; the framework itself names those of the first alone."""
        found = {"POST"} if scope["path"] in self.hot else set()
        for route in self._declared:
            if route.matches(scope)[0] is not Match.NONE:
                found |= set(getattr(route, "methods", None) or ())
        return found

    def build_middleware_stack(self) -> ASGIApp:
        """Leave out the outermost layer, Starlette's last catch: it answers in plain text before our edge can."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI event."""
        await self._outermost(scope, receive, send)


def make_app(  # noqa: PLR0913 -- all by keyword; this is where a service is put together
    *,
    service: str,
    title: str,
    description: str,
    version: str,
    routers: Sequence[APIRouter],
    lifespan: Lifespan,
    health: Health,
    verifier: TokenVerifier | None = None,
    hot: Mapping[str, HotEndpoint] | None = None,
    readable: Collection[str] = (),
    routes: Sequence[BaseRoute] = (),
    otlp_endpoint: str = "",
    proxies: TrustedProxies | None = None,
    admission: Admission | None = None,
    cors_origins: Collection[str] = (),
    audit: AuditTrail | None = None,
    body_bounds: Mapping[str, int] | None = None,
    metrics_token_file: Path | None = None,
) -> FastAPI:
    """Put a service's application together. `routes` are plain Starlette routes; hot endpoints come before all.

    `readable` names paths of hot endpoints at which a router answers GET. What a query has that a router's
    route does not declare is refused before it is asked; hot endpoints and plain routes look themselves. What `proxies`
    says is a request's address is what everybody sees as its client; `admission` then lets it in or not.
    `audit` writes down what no transaction records.
    `body_bounds` has the paths of routes that read a larger body than others, in pieces, and how many bytes.
    Without a `metrics_token_file` nobody reads the metrics.

    Raises: InvariantBroken for a route that does not say which action of the permission matrix it is.
    """
    hot = hot or {}
    if audit is not None:
        lifespan = _auditing(lifespan, audit)
        health.add(f"{service}.audit", audit.what_is_wrong)
        for endpoint in hot.values():
            if isinstance(endpoint, GuardedEndpoint):
                endpoint.trail = audit
    declared = [*routes, *(route for router in routers for route in router.routes)]
    require_declared(declared, hot)
    health_routes = health.router()
    app = Application(
        hot={path: endpoint for path, endpoint in hot.items() if isinstance(endpoint, GuardedEndpoint)},
        readable=readable,
        queries=KnownQueries(route for router in routers for route in router.routes),
        proxies=proxies or None,
        admission=admission,
        cors_origins=cors_origins,
        audit=audit,
        declared=[*declared, *health_routes.routes],
        body_bounds=body_bounds or {},
        title=title,
        description=description,
        version=version,
        lifespan=_exporting(lifespan, service, otlp_endpoint) if otlp_endpoint else lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        routes=list(routes),
        exception_handlers={
            TallystickError: _on_error,
            AnsweredBefore: on_answered_before,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http,
        },
    )
    app.state.verifier = verifier
    app.state.is_stopping = False
    app.state.health = health
    app.state.service = service
    for router in routers:
        app.include_router(router)
    app.include_router(health_routes)
    if metrics_token_file is not None:
        app.router.routes.append(metrics_route(metrics_token_file))
    return app


def request_id_of(request: Request) -> str:
    """Return the id under which this request is logged and answered."""
    return str(request.scope.get("request_id", ""))


def asker_of(request: Request) -> Asker:
    """Return who asks, and from where, for the audit log."""
    asker: Asker = request.scope["asker"]
    return asker


def _auditing(lifespan: Lifespan, trail: AuditTrail) -> Lifespan:
    @asynccontextmanager
    async def both(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            await trail.start()
            try:
                yield
            finally:
                await trail.stop()

    return both


def _exporting(lifespan: Lifespan, service: str, otlp_endpoint: str) -> Lifespan:
    @asynccontextmanager
    async def both(app: FastAPI) -> AsyncIterator[None]:
        async with exporting_spans(service, otlp_endpoint), lifespan(app):
            yield

    return both


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TallystickError)  # noqa: S101 -- what it is registered for
    refusal = await _counted(request.scope, error)
    asker_of(request).reason = refusal.code
    return error_response(refusal, request_id_of(request))


async def _counted(scope: Scope, error: TallystickError) -> TallystickError:
    """Count what was refused if admission left that to us; return what is to be answered instead beyond the limit."""
    count = scope.get("count_refusal")
    if count is not None and error.http_status < _SERVER_FAULT and not isinstance(error, TooManyRequests):
        try:
            await count()
        except (TooManyRequests, Unavailable) as beyond:
            return beyond
    return error


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- as above
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return await _on_error(request, not_json())
    # The values themselves are left out: they may be a password.
    errors = [
        field_error(place, path, item["msg"])
        for item in found[:FIELD_ERRORS_MAX]
        for place, *path in [[str(item["loc"][0]), *item["loc"][1:]]]
    ]
    is_float = all(item["type"] == "int_type" and isinstance(item["input"], float) for item in found)
    return problem_response(
        422,
        "number_not_whole" if is_float else "invalid_request",
        "Correct the fields named in `errors` and send again.",
        request_id=request_id_of(request),
        facts={"errors": errors},
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- as above
    # The framework calls whatever went wrong while it read the body one and the same.
    if isinstance(error.__cause__, TallystickError):
        return await _on_error(request, error.__cause__)
    if isinstance(error.__cause__, UnicodeDecodeError):
        return await _on_error(request, not_json())
    code = _HTTP_CODES.get(error.status_code, "request_refused")
    detail = {404: "There is no such route.", 405: "This route does not offer that method."}.get(
        error.status_code, "The request cannot be read; check its form and content type."
    )
    headers = dict(error.headers or {})
    if error.status_code == _METHOD_NOT_ALLOWED:
        methods: set[str] = request.app.methods_at(request.scope)
        headers |= {"Allow": ", ".join(sorted(methods))} if methods else {}
    return problem_response(error.status_code, code, detail, request_id=request_id_of(request), headers=headers)
