"""Answers that are sent in pieces, for as long as whoever asked takes them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

log = structlog.get_logger()

_TAKEN_SECONDS: Final = 20.0
"""How long a reader may take for a piece."""
_SECONDS_MAX: Final = 600.0


class TimedAnswer(StreamingResponse):
    """Ends, broken off, when its reader does not take it: what it is made from is let go then, and not later."""

    def __init__(
        self,
        pieces: AsyncGenerator[str] | AsyncGenerator[bytes],
        *,
        status_code: int = 200,
        headers: dict[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        """Send these; they are closed at the end, whichever it is."""
        super().__init__(pieces, status_code, headers, media_type)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """Send all pieces within ten minutes, each within twenty seconds."""

        async def send_timed(message: Message) -> None:
            async with asyncio.timeout(_TAKEN_SECONDS):
                await send(message)

        try:
            async with aclosing(self._pieces), asyncio.timeout(_SECONDS_MAX):
                await super().stream_response(send_timed)
        except TimeoutError:
            # Without its end the server closes the connection, and the reader can tell that something is missing.
            log.info("answer_not_taken")
