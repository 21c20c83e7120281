"""Becoming a customer."""

import asyncio
import json
from typing import Any

import pytest

from libs.common.contracts.accounts import CustomerChanged
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import SEALER

BODY: dict[str, Any] = {"email": "grace@example.com", "password": PASSWORD, "full_name": "Grace Hopper"}


async def found(world: World, email: str) -> list[dict[str, Any]]:
    """Whoever is stored under the e-mail."""
    digest = SEALER.search_hash(email)
    return await world.rows("SELECT roles FROM accounts.customers WHERE email_hash = $1", digest)


async def test_a_customer_is_stored_without_his_password_and_the_bus_hears_no_name(world: World) -> None:
    user_id = await world.register("Grace@BÜCHER.example")
    [row] = await world.rows("SELECT * FROM accounts.customers WHERE user_id = $1", user_id)
    assert (row["email"], row["full_name"]) == (None, None)
    sealed = SEALER.open(row["personal_key"], user_id, "email", row["email_sealed"])
    assert sealed == "grace@xn--bcher-kva.example"
    assert SEALER.open(row["personal_key"], user_id, "full_name", row["full_name_sealed"]) == "Ada Lovelace"
    assert row["password_hash"].startswith("$argon2id$")
    assert (row["roles"], row["profile"], row["status"], row["version"]) == (["customer"], "retail", "active", 1)
    [said] = world.publisher.said(user_id)
    assert isinstance(said, CustomerChanged)
    assert (said.user_id, said.profile, said.status, said.version) == (user_id, "retail", "active", 1)
    assert not any(b"grace" in item.payload.lower() for item in world.publisher.sent)


async def test_one_mailbox_registers_once_however_it_is_spelled(world: World) -> None:
    await world.register("twice@example.com")
    answer = await world.http.post("/api/v1/users", json=BODY | {"email": " TWICE@Example.com"})
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_of_two_registrations_at_once_one_wins(world: World) -> None:
    body = BODY | {"email": "race@example.com"}
    answers = await asyncio.gather(*(world.http.post("/api/v1/users", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(await found(world, "race@example.com")) == 1


async def test_who_was_deleted_leaves_his_mailbox_free(world: World) -> None:
    user_id = await world.register("again@example.com")
    await world.rows("UPDATE accounts.customers SET status = 'closed', deleted_at = now() WHERE user_id = $1", user_id)
    assert await world.register("again@example.com") != user_id
    assert (await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "no address"}, "invalid_request"),
        ({"email": "ada@localhost"}, "email_invalid"),
        ({"email": "ada@straße.example"}, "email_invalid"),
        ({"email": 7}, "invalid_request"),
        ({"email": "a" * 300 + "@example.com"}, "invalid_request"),
        ({"password": "x" * 11}, "invalid_request"),
        ({"password": "x" * 201}, "invalid_request"),
        ({"password": "x" * 40_000}, "invalid_request"),
        ({"password": "twelve chars\0"}, "invalid_request"),
        ({"password": "twelve chars\ud800"}, "invalid_request"),
        ({"password": None}, "invalid_request"),
        ({"full_name": ""}, "invalid_request"),
        ({"full_name": "   "}, "invalid_request"),
        ({"full_name": "A\0da"}, "invalid_request"),
        ({"full_name": "A\udfffda"}, "invalid_request"),
        ({"full_name": "A" * 201}, "invalid_request"),
        ({"roles": ["admin"]}, "invalid_request"),
        ({"a\ud800": 1}, "invalid_request"),
    ],
)
async def test_a_bad_registration_is_refused_and_nothing_of_it_repeated(
    world: World, change: dict[str, Any], code: str
) -> None:
    # Encoded here, with \\u escapes: the client refuses to send a lone surrogate itself.
    content = json.dumps(BODY | {"email": "bad@example.com"} | change)
    answer = await world.http.post("/api/v1/users", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "twelve chars" not in answer.text
    assert not await found(world, "bad@example.com")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"email": NaN}', b"[" * 100_000])
async def test_a_body_that_cannot_be_read_is_refused(world: World, body: bytes) -> None:
    answer = await world.http.post("/api/v1/users", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_customer_sees_himself(world: World) -> None:
    user_id = await world.register("me@example.com")
    answer = (await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))).json()
    assert answer.pop("registered_at").endswith("Z")
    assert answer == {
        "user_id": user_id,
        "email": "me@example.com",
        "full_name": "Ada Lovelace",
        "roles": ["customer"],
        "profile": "retail",
        "status": "active",
        "email_verified": False,
    }
