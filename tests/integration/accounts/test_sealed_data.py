"""Nothing that was planted about a person is anywhere in plain text, and what was plain is sealed at the next start."""

import gc
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from libs.common.contracts.accounts import CustomerErased
from libs.common.errors import InvariantBroken
from libs.common.ids import new_id
from libs.common.personal.sealing import Sealer
from services.accounts.use_cases.seal_stored import SealStored
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import MASTER_KEY, SEALER, admin_connection

NAME = "Zebedäus Quixwortham"
EMAIL = "Zebedaeus.Quixwortham@Planted.example"
PLANTED = ("quixwortham", "zebed", "planted.example")


async def everything_stored(world: World) -> str:
    """Every row of every table of the schema, its bytes as text, in lower case."""
    async with admin_connection(world.admin_dsn) as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'accounts'")
        rows: list[Any] = []
        for table in tables:
            rows += await connection.fetch(f'SELECT * FROM accounts."{table["tablename"]}"')
    assert rows
    texts = [
        value.decode("latin-1") if isinstance(value, bytes) else str(value) for row in rows for value in row.values()
    ]
    return "\n".join(texts).lower()


async def test_what_is_known_of_a_person_stands_nowhere_in_plain_text(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "full_name": NAME}
    user_id = (await world.http.post("/api/v1/users", json=body)).json()["user_id"]
    headers = world.keys.bearer(user_id)
    assert (await world.http.get("/api/v1/me", headers=headers)).json()["full_name"] == NAME
    assert (await world.http.post("/api/v1/users", json=body)).status_code == 409
    await world.log_in(EMAIL)
    await world.log_in(EMAIL, "not the password at all")
    await world.http.post("/api/v1/auth/verify-email/resend", json={"email": EMAIL})
    await world.http.patch("/api/v1/me", json={"full_name": f"{NAME} the Younger"}, headers=headers)
    await world.http.patch("/api/v1/me", json={"full_name": NAME, "email": EMAIL}, headers=headers)
    await world.open_account(user_id)
    await world.http.delete("/api/v1/me", headers=headers)
    gc.collect()
    logged = "".join(capsys.readouterr()).lower()
    said = b"\n".join(item.payload for item in world.publisher.sent).decode("latin-1").lower()
    stored = await everything_stored(world)
    places = {"log": logged, "bus": said, "rows": stored}
    assert [(word, place) for place, text in places.items() for word in PLANTED if word in text] == []


@pytest.mark.parametrize("keys", [[b"o" * 32], [MASTER_KEY, b"o" * 32]], ids=["other keys", "another last one"])
async def test_with_keys_that_do_not_open_or_find_who_is_stored_nothing_starts(
    world: World, keys: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.register()
    await SealStored(world.uow)()
    monkeypatch.setattr(world.uow, "_engine", world.uow._engine.execution_options(sealer=Sealer(keys)))
    with pytest.raises(InvariantBroken):
        await SealStored(world.uow)()


async def test_what_an_earlier_version_stored_is_sealed_at_the_next_start(world: World) -> None:
    user_id, email = new_id(), f"{new_id()}@example.com"
    await world.rows(
        """
        INSERT INTO accounts.customers (user_id, email, password_hash, full_name, roles, profile, status, version,
            registered_at, changed_at)
        VALUES ($1, $2, 'unusable', 'Ada Lovelace', '{customer}', 'retail', 'active', 1, now(), now())
        """,
        user_id,
        email,
    )
    await SealStored(world.uow)()
    [row] = await world.rows("SELECT * FROM accounts.customers WHERE user_id = $1", user_id)
    assert (row["email"], row["full_name"], row["email_hash"]) == (None, None, SEALER.search_hash(email))
    me = (await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))).json()
    assert (me["email"], me["full_name"]) == (email, "Ada Lovelace")


@pytest.mark.parametrize(
    "change",
    ["personal_key = NULL", "email = 'a@b.example', full_name = 'A'", "erased_at = now()", "email_hash = NULL"],
)
async def test_the_database_refuses_half_sealed_customers(world: World, change: str) -> None:
    user_id = await world.register()
    with pytest.raises(Exception, match="customers_personal_data_whole"):
        await world.rows(f"UPDATE accounts.customers SET {change} WHERE user_id = $1", user_id)


async def closed(world: World) -> tuple[str, str]:
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)
    assert (await world.http.delete("/api/v1/me", headers=world.keys.bearer(user_id))).status_code == 204
    return user_id, email


async def erase(world: World, user_id: str) -> httpx2.Response:
    """Erase by two people; the answer is that of the first refusal, or of the approval."""
    asked = await ask_to_erase(world, user_id, new_id())
    return await approve(world, user_id, new_id()) if asked.status_code == 200 else asked


async def ask_to_erase(world: World, user_id: str, staff_id: str) -> httpx2.Response:
    headers = world.keys.bearer(staff_id, "compliance")
    return await world.http.put(f"/api/v1/admin/users/{user_id}/erasure", headers=headers)


async def approve(world: World, user_id: str, staff_id: str) -> httpx2.Response:
    headers = world.keys.bearer(staff_id, "admin")
    return await world.http.post(f"/api/v1/admin/users/{user_id}/erasure/approve", headers=headers)


async def test_nobody_is_erased_before_he_closed_and_the_law_lets_him_go(world: World) -> None:
    user_id = await world.register()
    assert (await erase(world, user_id)).json()["code"] == "customer_not_closed"
    assert (await erase(world, new_id())).json()["code"] == "customer_not_found"
    gone, _ = await closed(world)
    world.clock.move(timedelta(days=1826))
    assert (await erase(world, gone)).json()["code"] == "retention_not_over"


@pytest.mark.parametrize("deleted", [False, True])
async def test_erasing_destroys_the_key_tells_the_others_and_is_for_good(world: World, *, deleted: bool) -> None:
    user_id, email = await closed(world)
    admin = world.keys.bearer(new_id(), "admin")
    if deleted:
        await world.http.delete(f"/api/v1/admin/users/{user_id}", headers=admin)
    world.clock.move(timedelta(days=1827, seconds=1))
    assert (await erase(world, user_id)).status_code == 204
    assert (await approve(world, user_id, new_id())).status_code == 204
    assert (await erase(world, user_id)).json()["code"] == "customer_erased"
    [row] = await world.rows("SELECT * FROM accounts.customers WHERE user_id = $1", user_id)
    kept = ("personal_key", "email_hash", "email_sealed", "full_name_sealed", "email", "full_name")
    assert [row[name] for name in kept] == [None] * 6
    assert any(isinstance(message, CustomerErased) for message in world.publisher.said(user_id))
    restored = await world.http.post(f"/api/v1/admin/users/{user_id}/restore", headers=admin)
    assert restored.json()["code"] == ("customer_not_found" if deleted else "customer_erased")
    assert await world.register(email) != user_id


async def test_erasing_leaves_nothing_by_which_he_logged_in_and_nothing_he_was_answered(world: World) -> None:
    user_id, _ = await closed(world)
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute(
            "INSERT INTO accounts.authenticators (user_id, sealed_secret) VALUES ($1, $2)", user_id, bytes(60)
        )
        await connection.execute(
            "INSERT INTO accounts.recovery_codes (user_id, code_hash) VALUES ($1, $2)", user_id, bytes(32)
        )
        await connection.execute(
            "INSERT INTO accounts.password_resets (reset_id, user_id, asked_at) VALUES ($1, $2, now())",
            new_id(),
            user_id,
        )
        await connection.execute(
            """INSERT INTO accounts.email_changes
                   (user_id, email_sealed, token_hash, expires_at, mails, next_mail_at)
               VALUES ($1, $2, $2, now(), 1, now())""",
            user_id,
            bytes(32),
        )
        await connection.execute(
            """INSERT INTO accounts.kept_answers
                   (principal_id, route, idempotency_key, body_hash, status, media_type, location, body)
               VALUES ($1, 'POST /api/v1/accounts', 'k', $2, 201, 'application/json', '', '{}')""",
            user_id,
            bytes(32),
        )
    world.clock.move(timedelta(days=1827, seconds=1))
    assert (await erase(world, user_id)).status_code == 204
    for table, owner in (
        ("authenticators", "user_id"),
        ("recovery_codes", "user_id"),
        ("password_resets", "user_id"),
        ("sessions", "user_id"),
        ("email_verifications", "user_id"),
        ("email_changes", "user_id"),
        ("kept_answers", "principal_id"),
    ):
        assert not await world.rows(f"SELECT 1 FROM accounts.{table} WHERE {owner} = $1", user_id), table
