"""Everything else goes to the service that owns it, with the caller's own token: that service decides again."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx2
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.common.errors import Malformed, NotFound, Unavailable
from libs.common.http.app import asker_of
from libs.common.http.client_address import neighbourhood_of
from libs.common.http.gate import BY_OWNER, GuardedRoute
from libs.common.http.places import Places
from services.gateway.api.request_limits import address_of
from services.gateway.api.timed_answers import TimedAnswer

log = structlog.get_logger()

_FORWARDED: Final = frozenset(
    {b"authorization", b"content-type", b"accept", b"user-agent", b"idempotency-key", b"prefer"}
)
_RETURNED: Final = (
    "content-type",
    "location",
    "retry-after",
    "www-authenticate",
    "etag",
    "content-disposition",
    "content-security-policy",
    "allow",
    "link",
    "idempotency-replayed",
)
_TIMEOUT: Final = httpx2.Timeout(10.0, connect=2.0)
_NOT_FOUND: Final = 404
_WHOLE_BYTES: Final = 512 * 1024
"""Up to this an answer is read whole before it is sent: whoever does not take it holds no connection to a service."""
_READ_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of an answer that the gateway itself reads, to put it together with others: more than any that is meant."""
_LONG_AT_ONCE_MAX: Final = 40
"""Of the hundred connections that a client has."""
_LONG_EACH_MAX: Final = 4
_ANY: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""For a path that stands for many: the service behind knows which methods each of them has."""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What a service answered, with those of its headers that are for the caller."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Owned:
    """A route and the services asked for it, in order: the next one when the one before does not know it (404)."""

    path: str
    methods: tuple[str, ...]
    services: tuple[str, ...]


OWNED: Final[Sequence[Owned]] = (
    Owned("/api/v1/users", ("POST",), ("accounts",)),
    Owned("/api/v1/auth/{rest:path}", _ANY, ("accounts",)),
    Owned("/api/v1/me", ("GET", "PATCH", "DELETE"), ("accounts",)),
    Owned("/api/v1/me/email", ("POST",), ("accounts",)),
    Owned("/api/v1/me/email/confirm", ("POST",), ("accounts",)),
    Owned("/api/v1/api-keys", ("GET", "POST"), ("accounts",)),
    Owned("/api/v1/api-keys/{key_id}", ("DELETE",), ("accounts",)),
    Owned("/api/v1/admin/service-accounts", ("GET", "POST"), ("accounts",)),
    Owned("/api/v1/admin/service-accounts/{rest:path}", _ANY, ("accounts",)),
    Owned("/api/v1/accounts", ("GET", "POST"), ("accounts",)),
    Owned("/api/v1/accounts/{account_id}", ("PATCH",), ("accounts",)),
    Owned("/api/v1/accounts/{account_id}/primary", ("PUT",), ("accounts",)),
    Owned("/api/v1/accounts/{account_id}/balance", ("GET",), ("ledger",)),
    Owned("/api/v1/accounts/{account_id}/entries", ("GET",), ("ledger",)),
    Owned("/api/v1/accounts/{account_id}/statement", ("GET",), ("ledger",)),
    Owned("/api/v1/transfers/{transfer_id}/receipt", ("GET",), ("ledger",)),
    Owned("/api/v1/fee-schedules/{version}", ("GET",), ("ledger",)),
    Owned("/api/v1/transparency/{rest:path}", _ANY, ("ledger",)),
    Owned("/api/v1/kyc/{rest:path}", _ANY, ("kyc",)),
    Owned("/api/v1/limits", ("GET",), ("fraud",)),
    Owned("/api/v1/admin/kyc/{rest:path}", _ANY, ("kyc",)),
    Owned("/api/v1/admin/erasures", ("GET",), ("accounts",)),
    Owned("/api/v1/admin/users/{rest:path}", _ANY, ("accounts",)),
    Owned("/api/v1/admin/accounts/{account_id}", ("DELETE",), ("accounts",)),
    Owned("/api/v1/admin/accounts/{account_id}/restore", ("POST",), ("accounts",)),
    Owned("/api/v1/admin/ledger/trial-balance", ("GET",), ("ledger",)),
    Owned("/api/v1/admin/reconciliation", ("GET", "POST"), ("ledger",)),
    Owned("/api/v1/admin/reconciliation/{run_id}", ("GET",), ("ledger",)),
    Owned("/api/v1/admin/fraud/{rest:path}", _ANY, ("fraud",)),
    Owned("/api/v1/admin/fraud-stats", ("GET",), ("fraud",)),
    Owned("/api/v1/admin/ledger/{rest:path}", _ANY, ("ledger",)),
)


def proxy_routes(clients: Mapping[str, httpx2.AsyncClient]) -> list[GuardedRoute]:
    """Return a route for each owned path; `clients` maps a service's name to a client at its address."""
    long = Places(_LONG_AT_ONCE_MAX, _LONG_EACH_MAX, "Too many long answers are being sent; try again.")
    return [_route(owned, clients, long) for owned in OWNED]


def _route(owned: Owned, clients: Mapping[str, httpx2.AsyncClient], long: Places) -> GuardedRoute:
    async def forward(request: Request) -> Response:
        request.scope["route_template"] = owned.path
        target = _target_of(request.scope)
        body = await request.body()
        answer = None
        for service in owned.services:
            if answer is not None:
                await answer.aclose()
            client = clients[service]
            answer = await ask_service(client, request, target, body)
            if answer.status_code != _NOT_FOUND:
                break
        assert answer is not None  # noqa: S101 -- every owned path names at least one service
        return await _handed_back(answer, client, request, long)

    return GuardedRoute(BY_OWNER, owned.path, forward, methods=list(owned.methods))


async def _handed_back(answer: httpx2.Response, client: httpx2.AsyncClient, request: Request, long: Places) -> Response:
    """Return the answer for the caller, read whole unless it is long. Raises: Unavailable."""
    begun = bytearray()
    is_long = False
    pieces = answer.aiter_bytes()
    try:
        async for piece in pieces:
            begun += piece
            if len(begun) > _WHOLE_BYTES:
                who = asker_of(request).actor_id or neighbourhood_of(address_of(request))
                long.enter(who)
                is_long = True
                return _LongAnswer(bytes(begun), pieces, answer, long, who)
    except httpx2.HTTPError as failure:
        raise _no_answer(client, failure) from failure
    finally:
        if not is_long:
            await answer.aclose()
    return Response(bytes(begun), answer.status_code, returned_headers(answer))


class _LongAnswer(TimedAnswer):
    """Holds a connection to a service, and one of its places, until it is sent or given up."""

    def __init__(
        self, begun: bytes, pieces: AsyncIterator[bytes], answer: httpx2.Response, long: Places, who: str
    ) -> None:
        super().__init__(_all_of(begun, pieces), status_code=answer.status_code, headers=returned_headers(answer))
        self._answer = answer
        self._long = long
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._long.leave(self._who)
            await self._answer.aclose()


async def _all_of(begun: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield begun
    async for piece in pieces:
        yield piece


def _target_of(scope: Scope) -> str:
    """Return path and query as they were sent, not decoded: what was one segment stays one.

    Raises: NotFound for dot segments, which the client below would resolve (RFC 3986, 5.2.4): `/api/v1/kyc/../../..`
    would reach what a service shows only to its neighbours.
    """
    if not {".", ".."}.isdisjoint(scope["path"].split("/")):
        raise NotFound("route_not_found", "There is no such route.")
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def ask_service(
    client: httpx2.AsyncClient,
    request: Request,
    target: str,
    body: bytes | AsyncIterator[bytes],
    internal_token: str = "",
    *,
    within: httpx2.Timeout = _TIMEOUT,
) -> httpx2.Response:
    """Hand a request on with the caller's own token; the answer's body is still to be read, or closed.

    With the internal token the service knows that the gateway asks in his name, for more than he is shown in lists.

    Raises: NotFound, Malformed, Unavailable.
    """
    # Whitespace around a value is not part of it (RFC 9110, 5.5), and the client below refuses to send it.
    headers = [(name, value.strip(b" \t")) for name, value in request.headers.raw if name in _FORWARDED]
    headers.append((b"x-request-id", request.scope["request_id"].encode()))
    headers.append((b"x-forwarded-for", address_of(request).encode()))
    if internal_token:
        headers.append((b"x-internal-token", internal_token.encode()))
    try:
        asked = client.build_request(request.method, target, headers=headers, content=body, timeout=within)
        if "user-agent" not in request.headers:
            del asked.headers["user-agent"]  # the client's own: the audit log would take it for the caller's
        answer = await client.send(asked, stream=True)
    except httpx2.InvalidURL as failure:
        raise NotFound("route_not_found", "There is no such route.") from failure
    except httpx2.LocalProtocolError:
        # Its text holds the header, which may be a token: no log may get it, not even as a cause.
        raise Malformed("malformed_request", "A header has a character that cannot be handed on.") from None
    except httpx2.HTTPError as failure:
        raise _no_answer(client, failure) from failure
    # It has seen the same request, and has it written into the audit log itself.
    asker_of(request).is_noted_by_owner = True
    return answer


async def ask_for_whole(
    client: httpx2.AsyncClient, request: Request, target: str, internal_token: str = ""
) -> WholeAnswer:
    """Ask as `ask_service` does, with no body, and read the answer. Raises: NotFound, Malformed, Unavailable."""
    return await read_whole(client, await ask_service(client, request, target, b"", internal_token))


async def read_whole(client: httpx2.AsyncClient, answer: httpx2.Response) -> WholeAnswer:
    """Read an answer to its end, and close it. Raises: Unavailable."""
    content = bytearray()
    try:
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > _READ_BYTES_MAX:
                log.warning("service_answered_too_much", neighbour=str(client.base_url), bytes_max=_READ_BYTES_MAX)
                raise Unavailable("service_unavailable", "The service behind this route answers too much; try again.")
    except httpx2.HTTPError as failure:
        raise _no_answer(client, failure) from failure
    finally:
        await answer.aclose()
    return WholeAnswer(answer.status_code, returned_headers(answer), bytes(content))


def returned_headers(answer: httpx2.Response) -> dict[str, str]:
    """Return those of the service's headers that are for the caller."""
    return {name: answer.headers[name] for name in _RETURNED if name in answer.headers}


def _no_answer(client: httpx2.AsyncClient, failure: httpx2.HTTPError) -> Unavailable:
    log.warning("service_did_not_answer", neighbour=str(client.base_url), error=type(failure).__name__)
    return Unavailable("service_unavailable", "The service behind this route does not answer; try again.")
