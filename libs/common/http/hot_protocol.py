"""Uvicorn's HTTP protocol, with a shortcut for hot endpoints: parsed, answered and written without ASGI.

Everything about the connection stays uvicorn's: parsing, pipelining, keep-alive, back pressure, shutdown. Only the
object that stands for one request and its answer is ours when the request goes to a hot endpoint. ASGI's messages, its
header checks and two writes cost as much as the endpoint itself.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from libs.common.http.bounded_protocol import BoundedHttpProtocol, answer_bytes
from libs.common.http.edge import MAX_BODY_BYTES, answer_hot, hot_request, too_large_answer
from libs.common.http.hot import HotAnswer, HotEndpoint


class HotHttpProtocol(BoundedHttpProtocol):
    """Serves one connection. Which endpoints are hot stands in the application's `hot`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*arguments, **options)
        hot: Mapping[str, HotEndpoint] = getattr(self.app, "hot", {})
        self._hot = {path.encode(): endpoint for path, endpoint in hot.items()}

    def on_headers_complete(self) -> None:
        """Choose the shortcut or uvicorn's own way; the parser calls this."""
        endpoint = self._hot.get(self.url)
        if (
            endpoint is None
            or self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.parser.should_upgrade()
        ):
            super().on_headers_complete()
            return
        before: Any = self.cycle  # None until the first request, whatever uvicorn declares
        waiting = before is not None and not before.response_complete
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle: Any = _HotCycle(self, endpoint, keep_alive=keep_alive)
        self.cycle = cycle
        if waiting:
            # A pipelined request: uvicorn starts it when the one before is answered.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._start_asgi_task(cycle, self.app)
        self.note_head_complete()


class _HotCycle:
    """One request to a hot endpoint and its answer; has what uvicorn's protocol asks of its own request object."""

    def __init__(self, protocol: HotHttpProtocol, endpoint: HotEndpoint, *, keep_alive: bool) -> None:
        self._endpoint = endpoint
        self._transport = protocol.transport
        self._flow = protocol.flow
        self._default_headers = protocol.server_state.default_headers
        self._on_response = protocol.on_response_complete
        self._request, self._length = hot_request(protocol.headers, protocol.client)
        self._request.path = protocol.url.decode()
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.message_event = asyncio.Event()
        self.disconnected = False
        self.response_complete = False

    async def run_asgi(self, _app: object) -> None:
        """Read the body, ask the endpoint, write the answer; named as uvicorn calls it."""
        if await self._read_body():
            if self.more_body:
                # Whoever left in the middle has not asked for anything (RFC 9112, 8).
                return
            self._request.body = bytes(self.body)
            answer = await answer_hot(self._endpoint, self._request)
        else:
            # The rest of the body is still on its way; nobody will read it.
            self.keep_alive = False
            answer = too_large_answer(self._request)
        self._write(answer)

    async def _read_body(self) -> bool:
        """Wait for the whole body. Returns False as soon as it is known to be too large."""
        while self._length <= MAX_BODY_BYTES and len(self.body) <= MAX_BODY_BYTES:
            if not self.more_body or self.disconnected:
                return True
            self._flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        return False

    def _write(self, answer: HotAnswer) -> None:
        self.response_complete = True
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
