"""A customer's documents through the whole stack: as large as they may be, seen by compliance, told to fraud."""

import io
import json
import os
from collections.abc import Callable, Iterator
from time import sleep
from zipfile import ZipFile

import httpx2
from PIL import Image

from tests.e2e.api_client import Api, Person, new_key, problem, wait_until
from tests.support.documents import MIB, pdf, pdf_bomb

DOCUMENTS = "/api/v1/kyc/documents?kind=proof_of_address"
DOCUMENT_BYTES_MAX = 10 * MIB


def send(
    api: Api, content: bytes | Callable[[], Iterator[bytes]], token: str | None, content_type: str = "image/jpeg"
) -> httpx2.Response:
    """Send a document; while the one before is still being put away, wait as long as the answer says."""
    headers = {"Content-Type": content_type, "Idempotency-Key": new_key()}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    for _ in range(10):
        answer = api.http.post(DOCUMENTS, content=content if isinstance(content, bytes) else content(), headers=headers)
        if answer.status_code != 503:
            break
        problem(answer, 503, "overloaded")
        sleep(int(answer.headers["retry-after"]))
    return answer


def large_png() -> bytes:
    """Return noise of just under ten megabytes."""
    written = io.BytesIO()
    Image.frombytes("RGB", (1860, 1860), os.urandom(1860 * 1860 * 3)).save(written, "PNG", compress_level=0)
    content = written.getvalue()
    assert 9 * MIB < len(content) <= DOCUMENT_BYTES_MAX
    return content


def test_a_large_document_gets_through_and_compliance_sees_it(api: Api) -> None:
    owner = api.person("documented", verified=False)
    content = large_png()
    sent = send(api, content, owner.token, "image/png")
    assert sent.status_code == 201, sent.text
    path = f"/admin/kyc/{owner.user_id}/documents"
    assert api.get(path, api.admin_token).json()["documents"] == [sent.json()]
    seen = api.get(f"{path}/{sent.json()['document_id']}/content?reason=review", api.admin_token)
    assert (seen.status_code, seen.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(seen.content)).tobytes() == Image.open(io.BytesIO(content)).tobytes()
    assert seen.headers["content-disposition"].startswith("attachment; ")
    assert seen.headers["content-security-policy"].startswith("sandbox; ")
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert b"IHDR" not in b"".join(file.read_bytes() for file in (api.folder / "documents").iterdir())


def test_what_is_refused_is_refused_however_large_it_is(api: Api, stranger: Person) -> None:
    problem(send(api, bytes(DOCUMENT_BYTES_MAX + 1), stranger.token), 413, "body_too_large")
    problem(send(api, lambda: (bytes(MIB) for _ in range(11)), stranger.token), 413, "body_too_large")
    problem(send(api, bytes(DOCUMENT_BYTES_MAX), None), 401, "token_missing")
    problem(send(api, bytes(DOCUMENT_BYTES_MAX), stranger.token), 422, "document_mislabelled")
    problem(send(api, bytes(2 * MIB), stranger.token, "text/html"), 415, "content_type_not_accepted")
    problem(send(api, pdf_bomb(), stranger.token, "application/pdf"), 422, "document_unreadable")
    assert api.get("/kyc/documents", stranger.token).json() == {"documents": [], "next": None}
    assert api.get("/kyc/status", stranger.token).status_code == 200


def test_the_same_document_of_two_customers_reaches_fraud_and_the_export_lists_it(api: Api) -> None:
    first, second, content = api.person("tenant"), api.person("flatmate"), pdf(3)
    for person in (first, second):
        assert send(api, content, person.token, "application/pdf").status_code == 201
    concerned = f"kind = 'document_shared' AND user_id IN ('{first.user_id}', '{second.user_id}')"
    wait_until("fraud to hear of it", lambda: api.count("fraud.signals", concerned) == 2)
    with ZipFile(io.BytesIO(api.get("/me/export", first.token).content)) as archive:
        [listed] = json.loads(archive.read("kyc-documents.json"))
    assert (listed["kind"], listed["pages"], listed["status"]) == ("proof_of_address", 3, "stored")
    removed = api.http.delete(
        f"/api/v1/kyc/documents/{listed['document_id']}", headers={"Authorization": f"Bearer {first.token}"}
    )
    assert removed.status_code == 204, removed.text
