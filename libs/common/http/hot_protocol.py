"""Uvicorn's HTTP protocol, with a shortcut for hot endpoints: parsed, answered and written without ASGI.

Everything about the connection stays uvicorn's: parsing, pipelining, keep-alive, back pressure, shutdown. Only the
object that stands for one request and its answer is ours when the request goes to a hot endpoint. ASGI's messages, its
header checks and two writes cost as much as the endpoint itself, and a task for each request a third of that.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from libs.common.errors import TallystickError
from libs.common.http.body_reading import BodyReading
from libs.common.http.bounded_protocol import BoundedHttpProtocol, answer_bytes
from libs.common.http.client_address import TrustedProxies
from libs.common.http.edge import answer_hot, hot_request, refused_answer
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotAnswer

log = structlog.get_logger()


class HotHttpProtocol(BoundedHttpProtocol):
    """Serves one connection. Which endpoints are hot stands in the application's `hot`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*arguments, **options)
        hot: Mapping[str, GuardedEndpoint] = getattr(self.app, "hot", {})
        self._hot = {path.encode(): endpoint for path, endpoint in hot.items()}
        self.proxies: TrustedProxies | None = getattr(self.app, "proxies", None)
        self._is_cross_origin: bool = getattr(self.app, "is_cross_origin", False)

    def begin_answer(self) -> None:
        """Choose the shortcut or uvicorn's own way."""
        endpoint = self._hot.get(self.url)
        if (
            endpoint is None
            or self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.parser.should_upgrade()
            or (self._is_cross_origin and any(name == b"origin" for name, _ in self.headers))
        ):
            super().begin_answer()
            return
        before: Any = self.cycle  # None until the first request, whatever uvicorn declares
        waits = before is not None and not before.response_complete
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle: Any = _HotCycle(self, endpoint, keep_alive=keep_alive, is_its_turn=not waits)
        self.cycle = cycle
        if waits:
            # A pipelined request: it begins when the one before is answered.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        self.note_head_complete()
        # A length beyond the bound is refused before any of the body came.
        cycle.set()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, _HotCycle):
            cycle.take_turn()
        else:
            super()._start_asgi_task(cycle, app)


class _HotCycle:
    """One request to a hot endpoint and its answer; has what uvicorn's protocol asks of its own request object.

    It drives the endpoint's coroutine itself, from one awaited future to the next.
    """

    def __init__(
        self, protocol: HotHttpProtocol, endpoint: GuardedEndpoint, *, keep_alive: bool, is_its_turn: bool
    ) -> None:
        self._endpoint = endpoint
        self._transport = protocol.transport
        self._flow = protocol.flow
        self._call_soon = protocol.loop.call_soon
        self._default_headers = protocol.server_state.default_headers
        self._on_response = protocol.on_response_complete
        self._request, self._length = hot_request(protocol.headers, protocol.client)
        if protocol.proxies is not None:
            self._request.address = protocol.proxies.address_of(self._request.address, protocol.headers)
        self._request.path = protocol.url.decode()
        self._reading = BodyReading(endpoint, self._request)
        self._is_its_turn = is_its_turn
        self._answering: Any = None
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> "_HotCycle":
        """Return what uvicorn calls `set` on. Kept as a field it would leave a ring to the garbage collector."""
        return self

    def take_turn(self) -> None:
        """Begin the answer, now that whatever was asked before has got its own."""
        self._is_its_turn = True
        self.set()

    def set(self) -> None:
        """Look at what came: a piece of the body, its end, or the peer's leave."""
        if not self._is_its_turn or self._answering is not None or self.response_complete:
            return
        if self.disconnected or self._transport.is_closing():
            # Whoever left in the middle has not asked for anything (RFC 9112, 8).
            self._reading.end()
            return
        try:
            self._reading.require_bounded(max(self._length, len(self.body)))
        except TallystickError as error:
            # The rest of the body may still be on its way; nobody will read it.
            self.keep_alive = False
            self._write(refused_answer(self._endpoint, self._request, error))
            return
        if self.more_body:
            self._flow.resume_reading()
        else:
            self._request.body = bytes(self.body)
            self.body = bytearray()  # a large one is not held twice
            self._answering = answer_hot(self._endpoint, self._request)
            # In a round of its own: what else came in the same piece queues behind this, and a long pipeline, of which
            # each answer begins the next, is not as deep as it is long.
            self._call_soon(self._go_on)

    def _go_on(self, awaited: Any = None) -> None:
        """Run the endpoint up to the next future it has to wait for, as a task would; `awaited` is the one before."""
        del awaited
        try:
            future = self._answering.send(None)
            if future is None:
                # A bare yield, such as sleep(0): go on with the next round.
                self._call_soon(self._go_on)
            else:
                # What every future asks of whoever waits for it: to take back this mark.
                future._asyncio_future_blocking = False  # noqa: SLF001 -- asyncio's own protocol between futures and tasks
                future.add_done_callback(self._go_on)
        except StopIteration as end:
            self._write(end.value)
        except asyncio.CancelledError:
            # As when the process ends. Whoever asked finds the outcome under his idempotency key.
            log.info("request_given_up", request_id=self._request.request_id, path=self._request.path)
            self._reading.end()
            self._transport.close()
        except BaseException:
            # Nobody will answer any more: without this the peer would wait for ever.
            self._reading.end()
            self._transport.close()
            raise

    def _write(self, answer: HotAnswer) -> None:
        self.response_complete = True
        self._reading.end()
        # Whoever hung up finds the outcome under his idempotency key; a write to a closed transport would raise.
        if self.disconnected or self._transport.is_closing():
            self._on_response()
            return
        self._transport.write(
            answer_bytes(answer, self._default_headers, self._request.request_id, keep_alive=self.keep_alive)
        )
        if not self.keep_alive:
            self._transport.close()
        self._on_response()
