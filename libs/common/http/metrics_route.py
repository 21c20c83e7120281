"""`GET /metrics`, for whoever collects metrics and nobody else: the gateway's port is open to the whole internet."""

import hmac
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.errors import Unauthenticated
from libs.common.invariants import check

METRICS_AT: Final = "/metrics"
_TOKEN_CHARACTERS_MIN: Final = 32


def metrics_route(token_file: Path) -> Route:
    """Return the route; it answers who shows the file's token as a bearer, which is what Prometheus can.

    The token is no sister's: what collects metrics may ask nothing else. Raises: InvariantBroken for a short token.
    """
    token = token_file.read_text().strip()
    check(len(token) >= _TOKEN_CHARACTERS_MIN, "a token of metrics is long enough not to be guessed")
    expected: Final = f"Bearer {token}".encode()

    async def metrics(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode("latin-1"), expected):
            raise Unauthenticated("metrics_token_required", "Only what collects metrics may read them.")
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Route(METRICS_AT, metrics, methods=["GET"], include_in_schema=False)
