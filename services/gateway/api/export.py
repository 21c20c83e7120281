"""GET /api/v1/me/export: everything that is held about the caller, as a zip archive."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.common.audit.entry import new_entry
from libs.common.audit.trail import AuditTrail
from libs.common.clock import to_rfc3339
from libs.common.errors import Conflict, Unavailable
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_recent
from services.gateway.api.export_parts import ExportParts, Sources
from services.gateway.api.zip_stream import ZipStream

log = structlog.get_logger()

_AT_ONCE_MAX: Final = 4
_TAKEN_SECONDS: Final = 20.0
"""How long a reader may take for a piece of the archive."""
_SECONDS_MAX: Final = 600.0
_ZIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The archive.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Exports:
    """Which exports this process is making: one of a customer, four at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._of: set[str] = set()

    @contextmanager
    def begun_by(self, user_id: str) -> Iterator[None]:
        """Hold a place. Raises: Conflict `export_running`, Unavailable `overloaded`."""
        if user_id in self._of:
            raise Conflict("export_running", "Your data is being sent to you already; wait for the end of that.")
        if len(self._of) >= _AT_ONCE_MAX:
            raise Unavailable("overloaded", "Too many exports are under way; try again.", retry_after_seconds=30)
        self._of.add(user_id)
        try:
            yield
        finally:
            self._of.discard(user_id)


def export_router(sources: Sources, trail: AuditTrail) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/me", tags=["customers"])
    exports = Exports()

    @router.get(
        "/export",
        summary="Take my data along",
        response_class=Response,
        responses={**_ZIP, **refusals("step_up_required", "export_running")},
    )
    async def get_export(
        request: Request, principal: Annotated[Principal, permitted("customer.export")]
    ) -> "_ExportResponse":
        """Return everything that is held about the caller: a zip archive of JSON files, written while it is sent.

        `manifest.json`, the last file, lists the others with their SHA-256. An archive that broke off has no table of
        contents and does not unpack. Needs a log-in or a step-up within ten minutes. One at a time.
        """
        require_recent(principal.authenticated_at, trail.clock())
        return _ExportResponse(exports, ExportParts(sources, request, principal), principal.user_id, trail, request)

    return router


class _ExportResponse(Response):
    media_type = "application/zip"

    def __init__(self, exports: Exports, parts: ExportParts, user_id: str, trail: AuditTrail, request: Request) -> None:
        super().__init__(headers={"content-disposition": 'attachment; filename="tallystick-export.zip"'})
        del self.headers["content-length"]
        self._exports = exports
        self._parts = parts
        self._user_id = user_id
        self._trail = trail
        self._request = request

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the archive. Raises: Conflict, Unavailable, before anything is sent."""
        with self._exports.begun_by(self._user_id):
            profile = await self._parts.profile()
            asker = asker_of(self._request)
            about = ("customer", self._user_id)
            await self._trail.keep(
                new_entry(self._trail.service, asker, "customer.export", at=self._trail.clock(), resource=about)
            )
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            try:
                async with asyncio.timeout(_SECONDS_MAX):
                    await self._send_pieces(profile, send)
            except (Unavailable, TimeoutError) as failure:
                # It began as a success; without its table of contents the archive tells that it is none.
                log.warning("export_broke_off", error=type(failure).__name__)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_pieces(self, profile: bytes, send: Send) -> None:
        async with aclosing(self._pieces(profile)) as pieces:
            async for piece in pieces:
                if await self._request.is_disconnected():
                    return
                async with asyncio.timeout(_TAKEN_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self, profile: bytes) -> AsyncGenerator[bytes]:
        now = self._trail.clock()
        archive = ZipStream(now)
        async for piece in archive.add("profile.json", _text(profile)):
            yield piece
        async for name, texts in self._parts.files():
            async for piece in archive.add(name, texts):
                yield piece
        manifest = {
            "user_id": self._user_id,
            "made_at": to_rfc3339(now),
            "files": [file._asdict() for file in archive.files],
        }
        async for piece in archive.add("manifest.json", _text(msgspec.json.encode(manifest))):
            yield piece
        yield archive.finish()


async def _text(content: bytes) -> AsyncIterator[bytes]:
    yield content
