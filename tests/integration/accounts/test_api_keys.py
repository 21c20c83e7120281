"""API keys and service accounts: made, shown once, used, revoked."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked, CustomerChanged
from libs.common.errors import TallystickError
from libs.common.http.api_keys import key_text, secret_hash
from libs.common.http.credentials import Credentials
from libs.common.ids import new_id
from services.accounts.domain.notices import PER_HOUR_MAX
from services.accounts.use_cases.tell_credentials import TellCredentials
from tests.integration.accounts.conftest import INTERNAL_TOKEN, World
from tests.support.api_world import admin_connection

KEYS = "/api/v1/api-keys"
MACHINES = "/api/v1/admin/service-accounts"


async def made(world: World, header: dict[str, str], path: str = KEYS, **changes: Any) -> httpx2.Response:
    body = {"name": "payroll", "scopes": ["transfers:write", "accounts:read"]} | changes
    return await world.http.post(path, json=body, headers=header)


async def prove_email(world: World, user_id: str) -> None:
    proved = "UPDATE accounts.customers SET email_verified_at = registered_at WHERE user_id = $1"
    await world.rows(proved, user_id)


async def code_of(world: World, key: str, address: str = "") -> str:
    """What a process that has just started says of the key: "" or the code of a refusal."""
    credentials = Credentials(world.keys.jwks_file, TellCredentials(world.uow, world.clock))
    await credentials.look()
    try:
        await credentials.verifier.identify(f"Bearer {key}", address)
    except TallystickError as refused:
        return refused.code
    return ""


async def test_a_key_is_shown_once_and_stored_as_a_hash(world: World) -> None:
    user_id = await world.register()
    header = world.keys.bearer(user_id)
    answer = await made(world, header, allowed_networks=["198.51.100.0/24", "2001:db8::1"])
    assert answer.status_code == 201
    key = answer.json()["key"]
    assert key.startswith("tsk_")
    listed = await world.http.get(KEYS, headers=header)
    [shown] = listed.json()["api_keys"]
    assert shown == {name: value for name, value in answer.json().items() if name != "key"}
    assert shown["allowed_networks"] == ["198.51.100.0/24", "2001:db8::1/128"]
    [row] = await world.rows("SELECT * FROM accounts.api_keys WHERE user_id = $1", user_id)
    secret = key.split("_", 2)[2]  # it may have underscores of its own
    assert secret not in listed.text + str(row)
    [entry] = await world.rows("SELECT * FROM accounts.audit_log WHERE resource_id = $1", shown["key_id"])
    assert (entry["action"], entry["actor_id"]) == ("api_key.create", user_id)
    assert secret not in str(entry)


async def test_a_log_in_of_long_ago_makes_no_key_and_a_new_key_is_told(world: World) -> None:
    user_id = await world.register()
    await prove_email(world, user_id)
    queued = "SELECT FROM accounts.mails"
    before = len(await world.rows(queued))
    assert (await made(world, world.keys.bearer(user_id))).status_code == 201
    assert len(await world.rows(queued)) == before + 1
    world.clock.move(timedelta(minutes=11))
    refused = await made(world, world.keys.bearer(user_id))
    assert (refused.status_code, refused.json()["code"]) == (403, "step_up_required")
    assert len(await world.rows(queued)) == before + 1


async def test_neither_a_mailbox_that_nobody_proved_nor_a_proved_one_is_filled_by_making_keys(world: World) -> None:
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)

    async def told_of(keys: int) -> int:
        for _ in range(keys):
            key = (await made(world, world.keys.bearer(user_id))).json()
            await world.http.delete(f"{KEYS}/{key['key_id']}", headers=world.keys.bearer(user_id))
        return [mail.subject for mail in await world.mails_to(email)].count("An API key was made for you")

    assert await told_of(2) == 0
    await prove_email(world, user_id)
    assert await told_of(PER_HOUR_MAX + 2) == PER_HOUR_MAX
    await world.rows("UPDATE accounts.notices SET noted_at = noted_at - interval '1 hour' WHERE user_id = $1", user_id)
    assert await told_of(1) == PER_HOUR_MAX + 1


async def test_copies_of_a_request_make_one_key_and_do_not_show_it_again(world: World) -> None:
    user_id = await world.register()
    header = {**world.keys.bearer(user_id), "Idempotency-Key": "once"}
    answers = await asyncio.gather(*(made(world, header) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    told = [answer for answer in answers if answer.json()["key"] is not None]
    assert len(told) == 1
    assert "idempotency-replayed" not in told[0].headers
    assert {(answer.json()["key_id"], answer.json()["name"]) for answer in answers} == {
        (told[0].json()["key_id"], "payroll")
    }
    kept = await world.rows("SELECT body FROM accounts.kept_answers WHERE principal_id = $1", user_id)
    assert told[0].json()["key"].split("_", 2)[2] not in str(kept)
    assert await world.rows("SELECT 1 FROM accounts.api_keys WHERE user_id = $1", user_id) == [{"?column?": 1}]


async def test_copies_of_a_request_make_one_service_account_and_one_key_for_it(world: World) -> None:
    admin = {**world.keys.bearer(new_id(), "admin"), "Idempotency-Key": "machine"}
    body = {"name": "nightly", "roles": ["customer"]}
    first, second = [await world.http.post(MACHINES, json=body, headers=admin) for _ in range(2)]
    assert (first.status_code, second.content) == (201, first.content)
    keys = [await made(world, admin, f"{MACHINES}/{first.json()['user_id']}/keys") for _ in range(2)]
    assert [(key.status_code, key.json()["key"] is None) for key in keys] == [(201, False), (201, True)]
    other = await made(world, admin, f"{MACHINES}/{new_id()}/keys")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_says_who_its_holder_is_and_when_it_was_used(world: World) -> None:
    user_id = await world.register()
    answer = (await made(world, world.keys.bearer(user_id))).json()
    credentials = Credentials(world.keys.jwks_file, TellCredentials(world.uow, world.clock))
    await credentials.look()
    principal = await credentials.verifier.identify(f"bearer {answer['key']}")
    assert (principal.user_id, principal.roles, principal.key_id) == (
        user_id,
        frozenset({"customer"}),
        answer["key_id"],
    )
    assert (principal.scopes, principal.is_machine) == (frozenset({"transfers:write", "accounts:read"}), False)

    used = "SELECT last_used_at FROM accounts.api_keys WHERE key_id = $1"
    [first] = await world.rows(used, answer["key_id"])
    world.clock.move(timedelta(seconds=50))
    await code_of(world, answer["key"])
    assert await world.rows(used, answer["key_id"]) == [first]
    world.clock.move(timedelta(seconds=15))
    await code_of(world, answer["key"])
    [later] = await world.rows(used, answer["key_id"])
    assert later["last_used_at"] - first["last_used_at"] >= timedelta(minutes=1)


async def test_a_wrong_secret_does_not_count_as_use(world: World) -> None:
    answer = (await made(world, world.keys.bearer(await world.register()))).json()
    assert await code_of(world, key_text(answer["key_id"], "x" * 43)) == "api_key_invalid"
    used = "SELECT last_used_at FROM accounts.api_keys WHERE key_id = $1"
    assert await world.rows(used, answer["key_id"]) == [{"last_used_at": None}]
    assert await code_of(world, answer["key"]) == ""
    [row] = await world.rows(used, answer["key_id"])
    assert row["last_used_at"] is not None


async def test_a_revoked_key_is_worth_nothing_and_stays_so(world: World) -> None:
    user_id = await world.register()
    header = world.keys.bearer(user_id)
    answer = (await made(world, header)).json()
    path = f"{KEYS}/{answer['key_id']}"
    assert (await world.http.delete(path, headers=world.keys.bearer(new_id()))).status_code == 404
    assert await code_of(world, answer["key"]) == ""
    for _ in range(2):
        assert (await world.http.delete(path, headers=header)).status_code == 204
    assert await code_of(world, answer["key"]) == "api_key_invalid"
    said = [one for one in world.publisher.said(user_id) if isinstance(one, CredentialsRevoked)]
    assert [one.key_id for one in said] == [answer["key_id"]]
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "UPDATE accounts.api_keys SET revoked_at = NULL WHERE key_id = $1", answer["key_id"]
            )
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "UPDATE accounts.api_keys SET scopes = '{treasury:write}' WHERE key_id = $1", answer["key_id"]
            )


async def test_a_key_ends_by_itself(world: World) -> None:
    ends_at = to_rfc3339(world.clock() + timedelta(minutes=5))
    answer = (await made(world, world.keys.bearer(await world.register()), expires_at=ends_at)).json()
    assert (answer["expires_at"], await code_of(world, answer["key"])) == (ends_at, "")
    world.clock.move(timedelta(minutes=5))
    assert await code_of(world, answer["key"]) == "api_key_invalid"


async def test_a_key_is_used_from_its_networks_alone(world: World) -> None:
    answer = await made(world, world.keys.bearer(await world.register()), allowed_networks=["198.51.100.0/24"])
    assert await code_of(world, answer.json()["key"], "198.51.100.9") == ""
    assert await code_of(world, answer.json()["key"], "203.0.113.9") == "address_not_allowed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scopes": ["treasury:write"]}, "scope_not_allowed"),
        ({"scopes": ["everything"]}, "invalid_request"),
        ({"scopes": []}, "invalid_request"),
        ({"name": ""}, "invalid_request"),
        ({"name": "x" * 141}, "invalid_request"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expiry_not_later"),
        ({"expires_at": "tomorrow"}, "invalid_request"),
        ({"allowed_networks": ["198.51.100.7/24"]}, "network_invalid"),
        ({"allowed_networks": ["198.51.100.256"]}, "network_invalid"),
        ({"allowed_networks": ["::ffff:198.51.100.0/120"]}, "network_invalid"),
        ({"allowed_networks": ["here"]}, "invalid_request"),
        ({"allowed_networks": ["198.51.100.1"] * 21}, "invalid_request"),
        ({"roles": ["admin"]}, "invalid_request"),
    ],
)
async def test_a_key_that_may_not_be_is_not_made(world: World, changes: dict[str, Any], expected: str) -> None:
    user_id = await world.register()
    answer = await made(world, world.keys.bearer(user_id), **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, expected)
    assert await world.rows("SELECT 1 FROM accounts.api_keys WHERE user_id = $1", user_id) == []


async def test_a_holder_has_fifty_keys_at_most_and_pages_through_them(world: World) -> None:
    header = world.keys.bearer(await world.register())
    ids = [(await made(world, header)).json()["key_id"] for _ in range(50)]
    refused = await made(world, header)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_api_keys")
    await world.http.delete(f"{KEYS}/{ids[0]}", headers=header)
    ids.append((await made(world, header)).json()["key_id"])
    found, cursor = list[str](), dict[str, str]()
    while True:
        page = (await world.http.get(KEYS, params={"limit": 20, **cursor}, headers=header)).json()
        found += [key["key_id"] for key in page["api_keys"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ids[::-1]


async def test_a_service_account_has_roles_and_keys_and_no_password(world: World) -> None:
    admin = world.keys.bearer(new_id(), "admin")
    answer = await world.http.post(MACHINES, json={"name": "till", "roles": ["operator", "customer"]}, headers=admin)
    assert answer.status_code == 201
    machine_id = answer.json()["user_id"]
    [said] = [one for one in world.publisher.said(machine_id) if isinstance(one, CustomerChanged)]
    assert (said.profile, said.status) == ("business", "active")
    [shown] = [
        one
        for one in (await world.http.get(MACHINES, headers=admin)).json()["service_accounts"]
        if one["user_id"] == machine_id
    ]
    assert (shown["name"], shown["roles"]) == ("till", ["customer", "operator"])

    keys = f"{MACHINES}/{machine_id}/keys"
    key = (await made(world, admin, keys, scopes=["treasury:write"])).json()
    credentials = Credentials(world.keys.jwks_file, TellCredentials(world.uow, world.clock))
    await credentials.look()
    principal = await credentials.verifier.identify(f"Bearer {key['key']}")
    assert (principal.user_id, principal.is_machine, principal.roles) == (
        machine_id,
        True,
        frozenset({"customer", "operator"}),
    )
    assert [one["key_id"] for one in (await world.http.get(keys, headers=admin)).json()["api_keys"]] == [key["key_id"]]
    assert (await world.log_in(f"{machine_id}@machine.invalid", "!")).json()["code"] == "invalid_credentials"

    nobodys = f"{MACHINES}/{'0' * 64}/keys/{key['key_id']}"
    assert (await world.http.delete(nobodys, headers=admin)).json()["code"] == "api_key_not_found"
    assert (await world.http.delete(f"{keys}/{key['key_id']}", headers=admin)).status_code == 204
    assert await code_of(world, key["key"]) == "api_key_invalid"


async def test_a_closed_service_account_takes_its_keys_along(world: World) -> None:
    admin = world.keys.bearer(new_id(), "admin")
    answer = await world.http.post(MACHINES, json={"name": "till", "roles": ["customer"]}, headers=admin)
    path = f"{MACHINES}/{answer.json()['user_id']}"
    key = (await made(world, admin, f"{path}/keys")).json()
    assert (await world.http.delete(path, headers=admin)).status_code == 204
    assert await code_of(world, key["key"]) == "api_key_invalid"
    for method, gone in (("DELETE", path), ("GET", f"{path}/keys")):
        refused = await world.http.request(method, gone, headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (404, "service_account_not_found")
    assert (await made(world, admin, f"{path}/keys")).status_code == 404
    assert path.rpartition("/")[2] not in (await world.http.get(MACHINES, headers=admin)).text


async def test_who_loses_a_role_of_staff_loses_the_keys_he_made_or_saw(world: World) -> None:
    admin_id, header = await world.register(), world.keys.bearer(new_id(), "admin")

    async def grant(*roles: str, user_id: str = admin_id) -> None:
        path = f"/api/v1/admin/users/{user_id}/roles"
        assert (await world.http.put(path, json={"roles": roles}, headers=header)).status_code == 200

    await grant("admin", user_id=await world.register())
    await grant("admin", "customer")
    admin = world.keys.bearer(admin_id, "admin", "customer")
    machine = await world.http.post(MACHINES, json={"name": "mint", "roles": ["operator"]}, headers=admin)
    keys = f"{MACHINES}/{machine.json()['user_id']}/keys"
    answers = [await made(world, admin), await made(world, admin, keys, scopes=["treasury:write"])]
    seen = [answer.json()["key"] for answer in answers]
    others = (await made(world, header, keys, scopes=["treasury:write"])).json()["key"]
    await grant("admin", "customer", "support")
    assert [await code_of(world, key) for key in seen] == ["", ""]
    await grant("customer")
    assert [await code_of(world, key) for key in (*seen, others)] == ["api_key_invalid", "api_key_invalid", ""]


@pytest.mark.parametrize(
    ("roles", "body", "expected"),
    [
        (["operator"], {"name": "x", "roles": ["customer"]}, (403, "role_required")),
        (["admin"], {"name": "x", "roles": ["admin"]}, (422, "role_not_for_machines")),
        (["admin"], {"name": "x", "roles": ["root"]}, (422, "invalid_request")),
        (["admin"], {"name": "x", "roles": []}, (422, "invalid_request")),
        (["admin"], {"name": "", "roles": ["customer"]}, (422, "invalid_request")),
    ],
)
async def test_only_admins_make_service_accounts_and_none_with_their_own_power(
    world: World, roles: list[str], body: dict[str, object], expected: tuple[int, str]
) -> None:
    before = await world.rows("SELECT count(*) FROM accounts.service_accounts")
    answer = await world.http.post(MACHINES, json=body, headers=world.keys.bearer(new_id(), *roles))
    assert (answer.status_code, answer.json()["code"]) == expected
    assert await world.rows("SELECT count(*) FROM accounts.service_accounts") == before


async def test_a_person_s_account_is_no_service_account(world: World) -> None:
    user_id, admin = await world.register(), world.keys.bearer(new_id(), "admin")
    assert (await made(world, admin, f"{MACHINES}/{user_id}/keys")).status_code == 404
    assert (await world.http.delete(f"{MACHINES}/{user_id}", headers=admin)).status_code == 404


async def test_sisters_learn_what_a_living_key_is_worth_and_nobody_else_does(world: World) -> None:
    answer = (await made(world, world.keys.bearer(await world.register()))).json()
    given = {"secret_sha256": secret_hash(answer["key"].split("_", 2)[2]).hex()}
    path = f"/internal/api-keys/{answer['key_id']}"
    header = {"X-Internal-Token": INTERNAL_TOKEN}
    told = await world.http.get(path, params=given, headers=header)
    assert told.json()["scopes"] == ["accounts:read", "transfers:write"]
    assert (await world.http.get(path, params=given)).status_code == 401
    guessed = await world.http.get(path, params={"secret_sha256": "é"}, headers=header)
    assert guessed.status_code == 404
    for unknown in (new_id(), "x"):
        answered = await world.http.get(f"/internal/api-keys/{unknown}", params=given, headers=header)
        assert answered.status_code == 404
