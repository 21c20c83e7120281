"""Kyc's documents around a real PostgreSQL and a folder."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from libs.common.contracts.kyc import DocumentShared
from libs.common.ids import new_id
from services.kyc.api.documents import BODY_BOUNDS, DOCUMENTS_AT
from services.kyc.app import make_document_routers, make_routers
from services.kyc.store.document_files import DocumentFiles
from services.kyc.use_cases.sweep_document_files import SweepDocumentFiles
from tests.integration.kyc.conftest import World
from tests.support.api_world import (
    SEALER,
    MovedClock,
    RecordingPublisher,
    TokenKeys,
    http_client,
    unit_of_work,
)
from tests.support.documents import image


@dataclass
class Shelf(World):
    """Kyc as tests of documents drive it."""

    files: DocumentFiles
    folder: Path

    async def send(
        self,
        user_id: str,
        content: Any = None,
        *,
        kind: str = "identity_front",
        content_type: str = "image/jpeg",
        key: str | None = None,
    ) -> httpx2.Response:
        """Send a document, an image that nobody else has if none is given."""
        headers = {"Content-Type": content_type} | ({} if key is None else {"Idempotency-Key": key})
        return await self.http.post(
            f"{DOCUMENTS_AT}?kind={kind}",
            content=own_image(user_id) if content is None else content,
            headers=headers | self.keys.bearer(user_id),
        )

    async def sent(self, user_id: str, content: Any = None, **how: Any) -> str:
        """Send a document that is taken, and return its id."""
        answer = await self.send(user_id, content, **how)
        assert answer.status_code == 201, answer.text
        document_id: str = answer.json()["document_id"]
        return document_id

    async def listed(self, user_id: str) -> list[dict[str, Any]]:
        answer = await self.http.get(DOCUMENTS_AT, headers=self.keys.bearer(user_id))
        assert answer.status_code == 200
        documents: list[dict[str, Any]] = answer.json()["documents"]
        return documents

    async def remove(self, user_id: str, document_id: str) -> httpx2.Response:
        return await self.http.delete(f"{DOCUMENTS_AT}/{document_id}", headers=self.keys.bearer(user_id))

    async def look_at(
        self, user_id: str, document_id: str, *, reader: str | None = None, roles: tuple[str, ...] = ("compliance",)
    ) -> httpx2.Response:
        return await self.http.get(
            f"/api/v1/admin/kyc/{user_id}/documents/{document_id}/content?reason=review",
            headers=self.keys.bearer(reader or new_id(), *roles),
        )

    async def sweep(self) -> None:
        await SweepDocumentFiles(self.uow, self.files, self.clock)()

    def stored_files(self) -> set[str]:
        """The names of the files that are there."""
        return {one.name for one in self.folder.rglob("*") if one.is_file()}

    def shared(self, user_id: str) -> list[DocumentShared]:
        return [one for one in self.publisher.said(user_id) if isinstance(one, DocumentShared)]


def own_image(user_id: str) -> bytes:
    """Return an image that only this user has: his id is in it, behind the picture."""
    return image() + user_id.encode()


@pytest.fixture
async def shelf(kyc_dsn: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    keys, clock, publisher, folder = TokenKeys(tmp_path), MovedClock(), RecordingPublisher(), tmp_path / "documents"
    files = DocumentFiles(folder.as_uri())
    async with unit_of_work(kyc_dsn, "kyc", publisher) as uow:
        routers = [*make_routers(uow, SEALER, clock), *make_document_routers(uow, SEALER, files, clock)]
        async with http_client("kyc", routers, keys, body_bounds=BODY_BOUNDS) as client:
            yield Shelf(client, uow, publisher, clock, keys, kyc_dsn, files, folder)
