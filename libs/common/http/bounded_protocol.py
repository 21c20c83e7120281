"""Uvicorn's HTTP protocol with bounds: how large a head may be, how long a request may take to arrive.

Uvicorn itself keeps a header of any size in memory and waits for the rest of a request for ever; one peer with a few
connections could take all memory, or all file descriptors.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final
from weakref import WeakSet

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from libs.common.clock import monotonic_seconds
from libs.common.http.edge import SECURITY_HEADERS, length_of, observe_refused
from libs.common.http.health import Health
from libs.common.http.hot import HotAnswer
from libs.common.http.large_bodies import MAX_BODY_BYTES
from libs.common.http.unreadable import (
    ARRIVAL_SECONDS,
    LARGE_ARRIVAL_SECONDS,
    LEAST_BYTES_PER_SECOND,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
    headers_too_large,
    malformed_http,
    request_timeout,
    url_too_long,
)
from libs.common.ids import new_id

log = structlog.get_logger()

_SWEEP_SECONDS: Final = 3.0
_AROUND_HEADER_BYTES: Final = len(b": \r\n")

_ONCE: Final = frozenset({b"authorization", b"host", b"idempotency-key", b"transfer-encoding"})
"""Of two of these one server takes the first and another the last: who stood before us may have judged by the other."""
_STANDING: Final = b"".join(b"%b: %b\r\n" % pair for pair in SECURITY_HEADERS)
_swept: Final[WeakSet[ServerState]] = WeakSet()
"""The servers whose connections a sweep looks at."""


class _Awaited(IntEnum):
    """What of a request a connection waits for."""

    BEGINNING = 0
    HEAD = 1
    BODY = 2


class _HeadTooLargeError(Exception):
    """Stops the parser, which hands it on as an error of its own."""


class _UrlTooLongError(Exception):
    """As above."""


class _AmbiguousError(Exception):
    """As above."""


class _ClosedError(Exception):
    """Stops the parser: what comes after the last answer is not looked at (RFC 9112, 9.6)."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Serves one connection. What cannot be read, is too large or comes too slowly is refused, and it closes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*arguments, **options)
        self._health: Health | None = getattr(getattr(self.app, "state", None), "health", None)
        self._awaited = _Awaited.BEGINNING
        self._waits_since: float | None = None
        self._closing_since: float | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._is_refused = False
        self._said_once: set[bytes] = set()
        self._unheard_bytes = 0
        """Bytes since the parser last told us anything: it keeps a header to itself until that is complete."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait, and see to it that somebody looks how long."""
        super().connection_made(transport)
        self._waits_since = monotonic_seconds()
        # A timer for each request would cost more than the rest of this class.
        if self.server_state not in _swept:
            _swept.add(self.server_state)
            self.loop.call_later(_SWEEP_SECONDS, _sweep_again, self.loop, self.server_state)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_refused:
            return
        self._unheard_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # We speak nothing else, so the request is answered as if it had not asked (RFC 9110, 7.8).
            return
        except httptools.HttpParserError as failure:
            if isinstance(failure.__context__, _HeadTooLargeError):
                self._refuse(headers_too_large)
            elif isinstance(failure.__context__, _UrlTooLongError):
                self._refuse(url_too_long)
            else:
                self.send_400_response(str(failure))
            return
        if self._unheard_bytes:
            if self._unheard_bytes > MAX_HEAD_BYTES:
                self._refuse(headers_too_large)
            elif self._waits_since is None:
                # Empty lines while an answer is due: they begin nothing.
                self._waits_since = monotonic_seconds()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; `msg` is the parser's and only for whoever looks for a fault."""
        log.debug("malformed_http", error=msg)
        self._refuse(malformed_http)

    def on_message_begin(self) -> None:
        """Begin a request; the parser calls this and the following.

        Uvicorn's own makes the ASGI scope here; a request to a hot endpoint never needs one.
        """
        if self.transport.is_closing():
            raise _ClosedError
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._said_once.clear()
        self._awaited = _Awaited.HEAD
        self._waits_since = monotonic_seconds()
        self._head_bytes = self._body_bytes = self._unheard_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target. It has no fragment (RFC 9112, 3.2): who stood before us may not cut it off."""
        self._count(len(url))
        if b"#" in url:
            raise _AmbiguousError
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            raise _UrlTooLongError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, without the whitespace around its value (RFC 9110, 5.5)."""
        self._count(len(name) + len(value) + _AROUND_HEADER_BYTES)
        # A trailer is counted and dropped: as a header it could name another principal or length (RFC 9110, 6.5.1).
        if self._awaited is _Awaited.HEAD:
            name, value = name.lower(), value.strip(b" \t")
            self.headers.append((name, value))
            if name in _ONCE:
                self._count_once(name, value)
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            if len(self.headers) > MAX_HEADERS:
                raise _HeadTooLargeError

    def on_headers_complete(self) -> None:
        """Begin the answer to a head that names its host (RFC 9112, 3.2); the HTTP before 1.1 knew none."""
        if b"host" not in self._said_once and self.parser.get_http_version() != "1.0":
            raise _AmbiguousError
        self.begin_answer()

    def begin_answer(self) -> None:
        """Hand the request on."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers  # the scope has this very list
        super().on_headers_complete()
        self.note_head_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unheard_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._awaited = _Awaited.BEGINNING
        self._waits_since = None
        self._unheard_bytes = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            # Answered before its end came: nothing else will start the clock.
            self._waits_since = monotonic_seconds()

    def on_response_complete(self) -> None:
        """Go on with the next request. Uvicorn would set a timer for each; our sweep sees idle connections too."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._awaited is _Awaited.BEGINNING:
            self._waits_since = monotonic_seconds()
        # While something waits its turn nothing more is read, or the queue grows by a whole piece for each answer.
        if not self.pipeline and not self.flow.write_paused:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Read nothing more from who does not read."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()

    def note_head_complete(self) -> None:
        """Wait for the body from now on. Whoever takes leave has each connection end with the answer (RFC 9112, 9.6).

        A request on a connection that closes in that moment would be lost; the next one finds another process.
        """
        if self._health is not None and self._health.is_leaving and self.cycle is not None:
            self.cycle.keep_alive = False
        self._awaited = _Awaited.BODY
        self._unheard_bytes = 0

    def end_if_late(self, now: float) -> None:
        """Close if what is awaited should have arrived by `now`, in seconds of the steady clock."""
        if self.transport.is_closing():
            # Closing waits until what was written has been taken: who does not take it is cut off.
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since > ARRIVAL_SECONDS:
                self.transport.abort()
            return
        if self._is_refused:
            self.transport.close()
            return
        if self._waits_since is None:
            return
        if self._is_answer_due() or self._is_body_left_waiting():
            # Reading may have paused for that; the peer's time begins when it can be heard again.
            self._waits_since = now
        elif self._awaited is _Awaited.BEGINNING:
            # Whoever has been answered may stay idle for longer than who never asked.
            cycle: Any = self.cycle
            if now - self._waits_since > (ARRIVAL_SECONDS if cycle is None else self.timeout_keep_alive):
                self.transport.close()
        elif now - self._waits_since > self._grace_seconds() + self._body_bytes / LEAST_BYTES_PER_SECOND:
            self._refuse(request_timeout)

    def _grace_seconds(self) -> float:
        """Return how long the request may take besides what its body earns."""
        announced = next((length_of(value) for name, value in self.headers if name == b"content-length"), 0)
        is_large = max(announced, self._body_bytes) > MAX_BODY_BYTES
        return LARGE_ARRIVAL_SECONDS if is_large else ARRIVAL_SECONDS

    def _count_once(self, name: bytes, value: bytes) -> None:
        """Refuse a second one, and any coding of a body but the one we know (RFC 9112, 6.1)."""
        if name in self._said_once or (name == b"transfer-encoding" and value.lower() != b"chunked"):
            raise _AmbiguousError
        self._said_once.add(name)

    def _count(self, length: int) -> None:
        self._unheard_bytes = 0
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _HeadTooLargeError

    def _is_answer_due(self) -> bool:
        """Tell whether a request that came whole, or another before the last, is not answered yet."""
        cycle: Any = self.cycle  # None until the first request, whatever uvicorn declares
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and not cycle.more_body)

    def _is_body_left_waiting(self) -> bool:
        """Tell whether it is our turn: the application has not taken what came of the body, so no more is read."""
        return self._awaited is _Awaited.BODY and self.flow.read_paused and not self.flow.write_paused

    def _refuse(self, answer_of: Callable[[str], HotAnswer]) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        cycle: Any = self.cycle
        if self._is_answer_due():
            # The refusal would be taken for the answer to an earlier request: that one is answered, then it closes.
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        begun = cycle is not None and (cycle.response_complete or getattr(cycle, "response_started", False))
        if self._awaited is _Awaited.BODY and begun:
            self.transport.close()
            return
        if cycle is not None:
            # Nobody answers half a request any more.
            cycle.disconnected = True
            cycle.message_event.set()
        request_id = new_id()
        answer = answer_of(request_id)
        observe_refused(answer.status)
        self.transport.write(answer_bytes(answer, self.server_state.default_headers, request_id, keep_alive=False))
        # Closing while the peer still sends would reset the connection and take the answer with it (RFC 9112, 9.6):
        # what comes is dropped until the next sweep.
        self.transport.write_eof()
        self._is_refused = True


def answer_bytes(
    answer: HotAnswer, default_headers: list[tuple[bytes, bytes]], request_id: str, *, keep_alive: bool
) -> bytes:
    """Return the answer as it goes over the wire, in one piece."""
    head = [
        STATUS_LINE[answer.status],
        *(b"%b: %b\r\n" % pair for pair in default_headers),
        b"content-type: %b\r\ncontent-length: %d\r\n" % (answer.media_type, len(answer.body)),
        *(b"%b: %b\r\n" % pair for pair in answer.headers),
        _STANDING,
        b"x-request-id: %b\r\n" % request_id.encode(),
    ]
    if not keep_alive:
        head.append(b"connection: close\r\n")
    return b"%b\r\n%b" % (b"".join(head), answer.body)


def sweep(server_state: ServerState, now: float) -> None:
    """Close the server's connections on which a request takes too long to arrive."""
    for connection in tuple(server_state.connections):
        if isinstance(connection, BoundedHttpProtocol):
            connection.end_if_late(now)


def _sweep_again(loop: Any, server_state: ServerState) -> None:
    sweep(server_state, monotonic_seconds())
    if server_state.connections:
        loop.call_later(_SWEEP_SECONDS, _sweep_again, loop, server_state)
    else:
        _swept.discard(server_state)
