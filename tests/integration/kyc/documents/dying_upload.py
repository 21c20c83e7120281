"""A process that sends a document and dies as if killed: when its file is whole, and before its row is there."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from libs.common import crash_points
from libs.common.audit.asker import Asker
from libs.common.clock import system_clock
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.idempotency import Once
from services.kyc.inspection.document_inspector import DocumentInspector
from services.kyc.store.document_files import DocumentFiles
from services.kyc.use_cases.send_document import SendDocument
from tests.support.api_world import RecordingPublisher, unit_of_work
from tests.support.documents import image

DIED = 9


def _die(point: str) -> None:
    if point == "kyc.document_file_written":
        os._exit(DIED)


async def _body() -> AsyncIterator[bytes]:
    yield image()


async def _send(dsn: str, folder: str, user_id: str) -> None:
    async with unit_of_work(dsn, "kyc", RecordingPublisher()) as uow:
        send = SendDocument(uow, DocumentFiles(folder), DocumentInspector(), system_clock)
        await send(
            lambda _: Once(None, b"", "", lambda _: KeptAnswer(201, "", "", b"")),
            Asker(actor_id=user_id, actor_kind="person"),
            kind="tax_number",
            media_type="image/jpeg",
            body=_body(),
        )


if __name__ == "__main__":
    crash_points.install(_die)
    asyncio.run(_send(*sys.argv[1:]))
