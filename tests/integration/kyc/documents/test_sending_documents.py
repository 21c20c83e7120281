"""Documents over HTTP: sent, listed, looked at by staff, removed, and nobody else's."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.ids import new_id
from libs.common.personal.sealing import Sealer
from services.kyc.api.documents import DOCUMENTS_AT
from services.kyc.domain.documents import DOCUMENT_BYTES_MAX
from services.kyc.use_cases.forget_applicants import ForgetApplicants
from tallystick.stack.rewrapping import PERSONAL, rewrap
from tests.integration.kyc.documents.conftest import Shelf, own_image
from tests.integration.kyc.documents.dying_upload import DIED
from tests.support.api_world import MASTER_KEY, admin_connection
from tests.support.documents import image, pdf


@pytest.mark.parametrize(
    ("content", "content_type", "pages"),
    [
        pytest.param(image("JPEG"), "image/jpeg", None, id="jpeg"),
        pytest.param(image("PNG"), "image/png", None, id="png"),
        pytest.param(image("WEBP"), "image/webp", None, id="webp"),
        pytest.param(pdf(2), "application/pdf", 2, id="pdf"),
    ],
)
async def test_what_is_sent_is_listed_and_staff_see_it(
    shelf: Shelf, content: bytes, content_type: str, pages: int | None
) -> None:
    user_id = new_id()
    answer = await shelf.send(user_id, content, kind="tax_number", content_type=content_type)
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert (sent["kind"], sent["content_type"], sent["pages"], sent["status"]) == (
        "tax_number",
        content_type,
        pages,
        "stored",
    )
    assert await shelf.listed(user_id) == [sent]
    seen = await shelf.look_at(user_id, sent["document_id"])
    assert (seen.status_code, len(seen.content)) == (200, sent["bytes"])
    assert seen.content[:4] == content[:4]


async def test_a_document_is_served_as_nothing_but_a_file_to_save(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    headers = (await shelf.look_at(user_id, document_id)).headers
    assert headers["content-disposition"] == f'attachment; filename="{document_id}.jpg"'
    assert headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_who_looked_and_why_is_on_record_and_no_look_goes_without_a_reason(shelf: Shelf) -> None:
    user_id, reader = new_id(), new_id()
    document_id = await shelf.sent(user_id)
    assert (await shelf.look_at(user_id, document_id, reader=reader)).status_code == 200
    [entry] = await shelf.rows(
        "SELECT resource_type, resource_id, facts::text FROM kyc.audit_log"
        " WHERE actor_id = $1::text AND action = 'document.read'",
        reader,
    )
    assert (entry["resource_type"], entry["resource_id"]) == ("customer", user_id)
    assert document_id in entry["facts"]
    assert "review" in entry["facts"]
    path = f"/api/v1/admin/kyc/{user_id}/documents/{document_id}/content"
    for query in ("", "?reason=", "?reason=curious"):
        answer = await shelf.http.get(path + query, headers=shelf.keys.bearer(reader, "compliance"))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_nobody_but_compliance_sees_a_document_and_nobody_his_own(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    for roles in (("customer",), ("admin",), ("operator", "support", "auditor")):
        for path in ("", f"/{document_id}/content?reason=review"):
            answer = await shelf.http.get(
                f"/api/v1/admin/kyc/{user_id}/documents{path}", headers=shelf.keys.bearer(new_id(), *roles)
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    his_own = await shelf.look_at(user_id, document_id, reader=user_id)
    assert (his_own.status_code, his_own.json()["code"]) == (403, "own_review")


async def test_another_customers_document_is_not_there(shelf: Shelf) -> None:
    user_id, stranger = new_id(), new_id()
    document_id = await shelf.sent(user_id)
    assert (await shelf.remove(stranger, document_id)).json()["code"] == "document_not_found"
    assert await shelf.listed(stranger) == []
    seen = await shelf.look_at(stranger, document_id)
    assert (seen.status_code, seen.json()["code"]) == (404, "document_not_found")
    assert (await shelf.look_at(user_id, document_id)).status_code == 200
    for nothing in ("nobody", new_id()):
        assert (await shelf.look_at(user_id, nothing)).status_code == 404
        assert (await shelf.look_at(nothing, document_id)).status_code == 404


async def test_staff_list_what_a_customer_sent_page_by_page(shelf: Shelf) -> None:
    user_id = new_id()
    ids = [await shelf.sent(user_id) for _ in range(3)]
    header = shelf.keys.bearer(new_id(), "compliance")
    path = f"/api/v1/admin/kyc/{user_id}/documents?limit=2"
    first = (await shelf.http.get(path, headers=header)).json()
    second = (await shelf.http.get(f"{path}&cursor={first['next']}", headers=header)).json()
    assert [one["document_id"] for one in first["documents"] + second["documents"]] == ids[::-1]
    assert second["next"] is None
    other = f"/api/v1/admin/kyc/{new_id()}/documents"
    refused = await shelf.http.get(f"{other}?cursor={first['next']}", headers=header)
    assert refused.json()["code"] == "cursor_invalid"
    assert (await shelf.http.get(other, headers=header)).json() == {"documents": [], "next": None}


async def test_a_removed_document_stays_in_the_list_and_its_content_is_gone(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    assert shelf.stored_files() == {document_id}
    assert (await shelf.remove(user_id, document_id)).status_code == 204
    assert (await shelf.remove(user_id, document_id)).status_code == 204
    [listed] = await shelf.listed(user_id)
    assert (listed["status"], listed["removed_at"] is None) == ("removed", False)
    assert (await shelf.look_at(user_id, document_id)).json()["code"] == "document_not_found"
    [row] = await shelf.rows("SELECT key_sealed FROM kyc.documents WHERE document_id = $1", document_id)
    assert row["key_sealed"] is None
    await shelf.sweep()
    assert shelf.stored_files() == set()


async def test_a_document_stays_while_somebody_decides_by_it(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    await shelf.apply(user_id)
    refused = await shelf.remove(user_id, document_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "document_in_use")
    assert (await shelf.look_at(user_id, document_id)).status_code == 200
    await shelf.decide(user_id, "approve")
    assert (await shelf.remove(user_id, document_id)).status_code == 204


async def test_the_eleventh_is_refused_and_leaves_no_file_and_a_removed_one_makes_room(shelf: Shelf) -> None:
    user_id = new_id()
    ids = [await shelf.sent(user_id) for _ in range(10)]
    refused = await shelf.send(user_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_documents")
    await shelf.sweep()
    assert shelf.stored_files() == set(ids)
    await shelf.remove(user_id, ids[4])
    assert (await shelf.send(user_id)).status_code == 201
    assert (await shelf.send(user_id)).json()["code"] == "too_many_documents"


async def test_copies_make_one_document_and_get_one_answer(shelf: Shelf) -> None:
    user_id = new_id()
    first = await shelf.send(user_id, key="once")
    again = await shelf.send(user_id, key="once")
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await shelf.listed(user_id)) == 1
    for change in ({"kind": "identity_back"}, {"content": image(shade=9)}):
        other = await shelf.send(user_id, key="once", **change)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await shelf.sweep()
    assert shelf.stored_files() == {first.json()["document_id"]}


async def test_one_customer_sends_one_at_a_time(shelf: Shelf) -> None:
    user_id = new_id()
    begun, end = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield own_image(user_id)[:10]
        begun.set()
        await end.wait()
        yield own_image(user_id)[10:]

    first = asyncio.create_task(shelf.send(user_id, slowly()))
    await begun.wait()
    second = await shelf.send(user_id)
    assert (second.status_code, second.json()["code"]) == (503, "overloaded")
    assert (await shelf.send(new_id())).status_code == 201
    end.set()
    assert (await first).status_code == 201
    assert (await shelf.send(user_id)).status_code == 201


async def test_what_is_too_large_is_not_read_to_its_end(shelf: Shelf) -> None:
    user_id, given = new_id(), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 4 * DOCUMENT_BYTES_MAX:
            given += 65536
            yield bytes(65536)

    answer = await shelf.send(user_id, endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert given <= DOCUMENT_BYTES_MAX + 2 * 65536
    announced = await shelf.send(user_id, bytes(DOCUMENT_BYTES_MAX + 1))
    assert announced.status_code == 413
    assert (shelf.stored_files(), await shelf.listed(user_id)) == (set(), [])


@pytest.mark.parametrize("content_type", ["image/gif", "text/html", "image/svg+xml", "", "multipart/form-data"])
async def test_no_other_type_is_taken(shelf: Shelf, content_type: str) -> None:
    answer = await shelf.send(new_id(), content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_not_accepted")


async def test_an_unknown_kind_is_refused(shelf: Shelf) -> None:
    answer = await shelf.send(new_id(), kind="selfie")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_staff_without_the_role_customer_send_nothing(shelf: Shelf) -> None:
    answer = await shelf.http.post(
        f"{DOCUMENTS_AT}?kind=tax_number",
        content=image(),
        headers={"Content-Type": "image/jpeg"} | shelf.keys.bearer(new_id(), "compliance"),
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


async def test_the_same_content_from_another_customer_is_told_once_by_ids_alone(shelf: Shelf) -> None:
    content, first, second, third = image(shade=77), new_id(), new_id(), new_id()
    await shelf.sent(first, content)
    again = await shelf.sent(first, content, kind="identity_back")
    assert shelf.shared(first) == []
    await shelf.remove(first, again)
    document_id = await shelf.sent(second, content)
    [signal] = shelf.shared(second)
    assert (signal.document_id, signal.other_user_ids) == (document_id, (first,))
    await shelf.sent(third, content)
    assert set(shelf.shared(third)[0].other_user_ids) == {first, second}
    hashes = await shelf.rows("SELECT DISTINCT content_hash FROM kyc.documents WHERE user_id = $1", first)
    assert len(hashes) == 1


async def test_of_two_who_send_the_same_at_once_one_is_told_of_the_other(shelf: Shelf) -> None:
    content, users = image(shade=78), (new_id(), new_id())
    await asyncio.gather(*(shelf.sent(one, content) for one in users))
    assert len([signal for one in users for signal in shelf.shared(one)]) == 1


async def test_an_erased_customers_documents_cannot_be_opened_and_none_is_added(shelf: Shelf) -> None:
    user_id, other, content = new_id(), new_id(), image(shade=79)
    document_id = await shelf.sent(user_id, content)
    removed = await shelf.sent(user_id, content)
    await shelf.remove(user_id, removed)
    forget = ForgetApplicants(shelf.uow, shelf.clock)
    await forget([user_id, new_id()])
    await forget([user_id])
    rows = await shelf.rows("SELECT status, key_sealed, content_hash FROM kyc.documents WHERE user_id = $1", user_id)
    assert [tuple(row.values()) for row in rows] == [("removed", None, None)] * 2
    assert (await shelf.look_at(user_id, document_id)).status_code == 404
    refused = await shelf.send(user_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "customer_erased")
    await shelf.sent(other, content)
    assert shelf.shared(other) == []
    await shelf.sweep()
    assert len(shelf.stored_files()) == 1


async def test_who_never_sent_anything_and_is_erased_sends_nothing_after(shelf: Shelf) -> None:
    user_id = new_id()
    await ForgetApplicants(shelf.uow, shelf.clock)([user_id])
    assert (await shelf.send(user_id)).json()["code"] == "customer_erased"


async def test_a_file_whose_document_never_came_is_swept_after_an_hour_and_others_stay(shelf: Shelf) -> None:
    kept = await shelf.sent(new_id())
    orphan = new_id()
    await shelf.rows("INSERT INTO kyc.document_files VALUES ($1, $2)", orphan, shelf.clock())
    (shelf.folder / orphan).write_bytes(b"what a process wrote before it died")
    await shelf.sweep()
    assert shelf.stored_files() == {kept, orphan}
    shelf.clock.move(timedelta(hours=1, seconds=1))
    await shelf.sweep()
    assert shelf.stored_files() == {kept}
    [row] = await shelf.rows("SELECT deleted_at FROM kyc.document_files WHERE document_id = $1", orphan)
    assert row["deleted_at"] is not None


async def test_a_process_that_dies_before_the_row_leaves_a_file_that_is_swept_and_no_row(shelf: Shelf) -> None:
    user_id = new_id()
    command = (sys.executable, "-m", "tests.integration.kyc.documents.dying_upload")
    process = await asyncio.create_subprocess_exec(*command, shelf.admin_dsn, shelf.folder.as_uri(), user_id)
    assert await process.wait() == DIED
    [left] = shelf.stored_files()
    assert await shelf.listed(user_id) == []
    [row] = await shelf.rows("SELECT stored_at, condemned_at FROM kyc.document_files WHERE document_id = $1", left)
    assert tuple(row.values()) == (None, None)
    shelf.clock.move(timedelta(hours=1, seconds=1))
    await shelf.sweep()
    assert shelf.stored_files() == set()
    assert (await shelf.send(user_id)).status_code == 201


async def test_an_upload_that_took_so_long_that_it_was_swept_is_not_stored(shelf: Shelf) -> None:
    user_id, put = new_id(), shelf.files.put

    async def put_and_sweep(document_id: str, sealed: Any) -> None:
        await put(document_id, sealed)
        shelf.clock.move(timedelta(hours=1, seconds=1))
        await shelf.sweep()
        shelf.clock.move(-timedelta(hours=1, seconds=1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf.files, "put", put_and_sweep)
        answer = await shelf.send(user_id)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert (await shelf.listed(user_id), shelf.stored_files()) == ([], set())


async def test_nothing_is_stored_in_plain_text(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id, pdf(1), content_type="application/pdf")
    raw = (shelf.folder / document_id).read_bytes()
    assert b"PDF" not in raw
    assert b"/Page" not in raw


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), id="changed"),
        pytest.param(lambda raw: raw[:-1], id="cut off"),
        pytest.param(lambda raw: raw + b"\0", id="longer"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
async def test_a_file_that_was_changed_is_not_shown(shelf: Shelf, damage: Any) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    file = shelf.folder / document_id
    file.write_bytes(damage(file.read_bytes()))
    answer = await shelf.look_at(user_id, document_id)
    assert (answer.status_code, answer.json()["code"]) == (500, "invariant_broken")


async def test_a_file_under_another_documents_name_is_not_shown(shelf: Shelf) -> None:
    user_id = new_id()
    one, other = await shelf.sent(user_id), await shelf.sent(user_id)
    (shelf.folder / one).replace(shelf.folder / other)
    assert (await shelf.look_at(user_id, other)).status_code == 500
    assert (await shelf.look_at(user_id, one)).status_code == 500


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE kyc.documents SET kind = 'tax_number' WHERE document_id = $1", "documents_removed_only"),
        (
            "UPDATE kyc.documents SET key_sealed = 'another' WHERE document_id = $1",
            "documents_removed_only",
        ),
        ("UPDATE kyc.documents SET status = 'removed' WHERE document_id = $1", "documents_readable_while_stored"),
        ("DELETE FROM kyc.documents WHERE document_id = $1", "documents_removed_only"),
        ("TRUNCATE kyc.documents", "documents_removed_only"),
        (
            "UPDATE kyc.document_holders SET personal_key = NULL WHERE erased_at IS NULL AND $1::uuid IS NOT NULL",
            "document_holders_key_until_erased",
        ),
        ("UPDATE kyc.document_files SET deleted_at = now() WHERE document_id = $1", "document_files_condemned_first"),
    ],
)
async def test_the_database_itself_forbids_it(shelf: Shelf, statement: str, constraint: str) -> None:
    document_id = await shelf.sent(new_id())
    async with admin_connection(shelf.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement, *([document_id] if "$1" in statement else []))
    assert refusal.value.constraint_name == constraint


async def test_the_database_itself_knows_ten_places(shelf: Shelf) -> None:
    user_id = new_id()
    document_id = await shelf.sent(user_id)
    other = await shelf.sent(user_id)
    async with admin_connection(shelf.admin_dsn) as connection:
        copied = (
            "INSERT INTO kyc.documents SELECT $1, user_id, kind, status, $2, content_type, bytes, pages, content_hash,"
            " key_sealed, created_at, removed_at FROM kyc.documents WHERE document_id = $3"
        )
        file = new_id()
        await connection.execute("INSERT INTO kyc.document_files VALUES ($1, now())", file)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(copied, file, 2, document_id)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(copied, file, 11, document_id)
    assert {one["document_id"] for one in await shelf.listed(user_id)} == {document_id, other}


async def test_the_key_of_a_customers_documents_goes_over_to_a_newer_master_key(shelf: Shelf) -> None:
    user_id, erased = new_id(), new_id()
    for one in (user_id, erased):
        await shelf.sent(one)
    await ForgetApplicants(shelf.uow, shelf.clock)([erased])
    [before] = await shelf.rows("SELECT personal_key FROM kyc.document_holders WHERE user_id = $1", user_id)
    newer = b"a newer master key for a test!!!"
    [holders] = [one for one in PERSONAL["kyc"] if one.table == "kyc.document_holders"]
    renewed, left = await rewrap(shelf.admin_dsn, Sealer([newer, MASTER_KEY]), holders)
    assert (renewed >= 1, left) == (True, 0)
    [row] = await shelf.rows(
        "SELECT personal_key, document_id::text, key_sealed FROM kyc.document_holders"
        " JOIN kyc.documents USING (user_id) WHERE user_id = $1",
        user_id,
    )
    field = f"document|{row['document_id']}"
    opened = Sealer([newer]).open(row["personal_key"], user_id, field, row["key_sealed"])
    assert opened == Sealer([MASTER_KEY]).open(before["personal_key"], user_id, field, row["key_sealed"])
