"""POST /api/v1/kyc/documents: a body of megabytes, handed on to kyc as it comes and never held here."""

from typing import Final

import httpx2
from starlette.requests import Request
from starlette.responses import Response

from libs.common.http.client_address import neighbourhood_of
from libs.common.http.gate import BY_OWNER, GuardedRoute
from libs.common.http.places import Places
from services.gateway.api.proxy import ask_service, read_whole
from services.gateway.api.request_limits import address_of

DOCUMENTS_AT: Final = "/api/v1/kyc/documents"
_TIMEOUT: Final = httpx2.Timeout(90.0, connect=2.0)
"""A document is looked into before it is answered."""
_AT_ONCE_MAX: Final = 20
"""Of the hundred connections that a client has."""
_EACH_MAX: Final = 2


def document_upload_routes(kyc: httpx2.AsyncClient) -> list[GuardedRoute]:
    """Return the route; it stands before the one for whatever else kyc owns."""
    places = Places(_AT_ONCE_MAX, _EACH_MAX, "Too many documents are being sent; try again.")

    async def forward(request: Request) -> Response:
        request.scope["route_template"] = DOCUMENTS_AT
        query = request.scope["query_string"].decode("latin-1")
        # By address: who it is only kyc will know, and it has places of its own.
        whence = neighbourhood_of(address_of(request))
        places.enter(whence)
        try:
            answer = await ask_service(kyc, request, f"{DOCUMENTS_AT}?{query}", request.stream(), within=_TIMEOUT)
            whole = await read_whole(kyc, answer)
        finally:
            places.leave(whence)
        return Response(whole.content, whole.status_code, dict(whole.headers))

    return [GuardedRoute(BY_OWNER, DOCUMENTS_AT, forward, methods=["POST"])]
