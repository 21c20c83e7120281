"""GET /openapi.json: one document for the whole API, merged from the services that own its routes."""

from collections.abc import Mapping
from typing import Any, Final

import httpx2
import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from libs.common.clock import monotonic_seconds
from libs.common.http.gate import GuardedRoute
from services.gateway.api.complete_document import complete
from services.gateway.api.openapi_money import MONEY_PATHS, MONEY_SCHEMAS

log = structlog.get_logger()

_KEPT_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 3.0
_SCHEMAS: Final = "#/components/schemas/"


class ApiDocument:
    """The merged document, kept for a minute; a service that does not answer is left out until then."""

    def __init__(self, clients: Mapping[str, httpx2.AsyncClient]) -> None:
        """Know whom to ask, the first of two that describe one route first."""
        self._clients = clients
        self._kept: dict[str, Any] = {}
        self._kept_until = float("-inf")

    async def current(self, gateway: FastAPI) -> Mapping[str, Any]:
        """Return the document; what the gateway itself offers is asked of its application."""
        if monotonic_seconds() > self._kept_until:
            theirs = {
                name: document for name, client in self._clients.items() if (document := await _ask(client)) is not None
            }
            self._kept = complete(merge(gateway.openapi(), theirs))
            self._kept_until = monotonic_seconds() + (_KEPT_SECONDS if len(theirs) == len(self._clients) else 0)
        return self._kept


def merged_openapi_routes(document: ApiDocument) -> list[GuardedRoute]:
    """Return the route."""

    async def show(request: Request) -> Response:
        request.scope["route_template"] = "/openapi.json"
        return JSONResponse(await document.current(request.app))

    return [GuardedRoute("api.read", "/openapi.json", show, methods=["GET"])]


def merge(own: Mapping[str, Any], theirs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Merge documents, `theirs` by the service's name: the gateway's own routes win, then the first service's.

    Schemas share one namespace. A name that is taken by another schema gets its service's name in front.
    """
    money = {path: {**own["paths"].get(path, {}), **operations} for path, operations in MONEY_PATHS.items()}
    merged: dict[str, Any] = {**own, "paths": {**own["paths"], **money}}
    components: dict[str, Any] = {**own.get("components", {})}
    schemas: dict[str, Any] = {**components.get("schemas", {}), **MONEY_SCHEMAS}
    for service, original in theirs.items():
        document = _without_conflicts(original, schemas, service)
        for path, operations in document["paths"].items():
            merged["paths"][path] = {**operations, **merged["paths"].get(path, {})}
        schemas.update(document.get("components", {}).get("schemas", {}))
    components["schemas"] = schemas
    merged["components"] = components
    return merged


def _without_conflicts(document: Mapping[str, Any], taken: Mapping[str, Any], service: str) -> Mapping[str, Any]:
    schemas = document.get("components", {}).get("schemas", {})
    renamed = {
        name: f"{service.capitalize()}{name}"
        for name, schema in schemas.items()
        if name in taken and taken[name] != schema
    }
    if not renamed:
        return document
    refs = {f"{_SCHEMAS}{old}": f"{_SCHEMAS}{new}" for old, new in renamed.items()}
    moved = {renamed.get(name, name): _with_refs(schema, refs) for name, schema in schemas.items()}
    return {"paths": _with_refs(document["paths"], refs), "components": {"schemas": moved}}


def _with_refs(node: Any, refs: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {key: _with_refs(value, refs) for key, value in node.items()}
        case list():
            return [_with_refs(value, refs) for value in node]
        case str():
            return refs.get(node, node)
        case _:
            return node


async def _ask(client: httpx2.AsyncClient) -> dict[str, Any] | None:
    try:
        answer = await client.get("/openapi.json", timeout=_ASK_SECONDS)
    except httpx2.HTTPError as failure:
        log.warning("openapi_not_merged", neighbour=str(client.base_url), error=type(failure).__name__)
        return None
    document: dict[str, Any] | None = answer.json() if answer.is_success else None
    return document
