"""GET /api/v1/events: what happens, as server-sent events (WHATWG HTML, 9.2), resumable with `Last-Event-ID`."""

import asyncio
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import format_sse_event
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.common.clock import monotonic_seconds
from libs.common.errors import Forbidden, TallystickError, Unauthenticated, Unprocessable
from libs.common.http.auth import Principal, TokenVerifier
from libs.common.http.gate import permitted
from libs.common.http.models import IdText
from libs.common.http.openapi import refusals
from services.gateway.domain.events import EventType
from services.gateway.use_cases.tell_events import EventStream, EventStreams

log = structlog.get_logger()

_POSITION_DIGITS_MAX: Final = 18
_RETRY_MS: Final = 2_000
_CHECK_SECONDS: Final = 1.0
_PING_SECONDS: Final = 15.0
_SEND_SECONDS: Final = 20.0
_LONGEST_SECONDS: Final = 3600.0
_FILTERS_MAX: Final = 50

_ABOUT: Final = """Keeps the connection open and sends each event as it happens, yours alone: `event` is its type,
`data` the same document that webhooks get, `id` its position.

Send the last `id` you have seen as `Last-Event-ID`, as browsers do by themselves, and you get what you missed, up to 30
days back. An `id` without data only moves your position on. `event: stream.gap` says that events may have been missed,
because you were away for longer: read the state of what you follow anew.

The stream ends when your token runs out or is revoked, when you read too slowly, after an hour, and when the server
stops: connect again. Events of one transfer or account come in order, each once; one that was held back on its way may
come after a later one, so compare `version`."""

_EVENT_SCHEMA: Final = {
    "title": "ServerSentEvent",
    "description": "Each event of the stream.",
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "description": "The event's type."},
        "data": {"type": "string", "description": "The event itself, a JSON object as a webhook gets it."},
        "id": {"type": "string", "description": "The position, to be sent as `Last-Event-ID`."},
    },
}


def events_router(streams: EventStreams) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1", tags=["events"])

    @router.get(
        "/events",
        summary="Follow what happens",
        description=_ABOUT,
        response_class=Response,
        responses={
            200: {
                "description": "Events, for as long as you listen.",
                "content": {"text/event-stream": {"schema": _EVENT_SCHEMA}},
            },
            **refusals("last_event_id_invalid", "too_many_streams"),
        },
    )
    async def follow(
        request: Request,
        principal: Annotated[Principal, permitted("event.stream")],
        types: Annotated[
            list[EventType] | None,
            Query(alias="type", max_length=_FILTERS_MAX, description="Events of these types only; repeat it for more."),
        ] = None,
        account_ids: Annotated[
            list[IdText] | None,
            Query(
                alias="account_id",
                max_length=_FILTERS_MAX,
                description="Events about these accounts of yours only; repeat it for more.",
            ),
        ] = None,
        last_event_id: Annotated[
            str | None, Header(description="The position to go on after; without it the stream begins now.")
        ] = None,
    ) -> Response:
        stream = await streams.open(principal.user_id, _position_of(last_event_id), types or (), account_ids or ())
        return _StreamResponse(streams, stream, request)

    return router


def _position_of(last_event_id: str | None) -> int | None:
    if not last_event_id:
        return None
    if not (last_event_id.isascii() and last_event_id.isdigit()) or len(last_event_id) > _POSITION_DIGITS_MAX:
        raise Unprocessable("last_event_id_invalid", "Send the `id` of the last event you have seen, or no header.")
    return int(last_event_id)


class _StreamResponse(Response):
    """Writes a stream until its reader goes, may not listen any more, or does not keep up.

    FastAPI's own would hear of a reader who is gone, or reads nothing, only when there is something to send.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: EventStreams, stream: EventStream, request: Request) -> None:
        """Write this stream, opened for this request."""
        super().__init__(headers={"X-Accel-Buffering": "no"})  # nginx would gather events
        del self.headers["content-length"]
        self._streams = streams
        self._stream = stream
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gone = asyncio.create_task(_until_gone(receive, self._stream))
        try:
            scope["stream_began"] = monotonic_seconds()
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._write(send, gone)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("event_stream_stuck", request_id=scope["request_id"])
        except TallystickError as failure:
            log.warning("event_stream_ended", request_id=scope["request_id"], code=failure.code)
        finally:
            gone.cancel()
            self._streams.close(self._stream)

    async def _write(self, send: Send, gone: asyncio.Task[None]) -> None:
        stream = self._stream
        ends_at = monotonic_seconds() + _LONGEST_SECONDS
        if stream.has_gap:
            await _send(send, format_sse_event(event="stream.gap", data_str="{}"))
        await _send(send, format_sse_event(comment="ready", id=str(stream.position), retry=_RETRY_MS))
        quiet_since = monotonic_seconds()
        while not gone.done() and not stream.is_dropped and monotonic_seconds() < ends_at and await self._may_go_on():
            events = await stream.next(self._streams.connection, _CHECK_SECONDS)
            if events:
                await _send(
                    send,
                    b"".join(
                        format_sse_event(event=event.type, data_str=event.payload.decode(), id=str(event.position))
                        for event in events
                    ),
                )
            elif monotonic_seconds() - quiet_since < _PING_SECONDS:
                continue
            else:
                await _send(send, format_sse_event(comment="ping", id=str(stream.position)))
            quiet_since = monotonic_seconds()

    async def _may_go_on(self) -> bool:
        """Tell whether the token still lets him listen, and the server goes on; asked every second."""
        request = self._request
        verifier: TokenVerifier = request.app.state.verifier
        address = request.client.host if request.client else ""
        try:
            await verifier.identify(request.headers.get("authorization"), address)
        except (Unauthenticated, Forbidden):
            return False
        return not request.app.state.is_stopping


async def _send(send: Send, body: bytes) -> None:
    """Send a piece. Raises: TimeoutError when the reader does not take it."""
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive, stream: EventStream) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    stream.leave()
