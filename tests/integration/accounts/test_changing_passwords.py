"""Setting another password: with the old one, or with a token from one's mailbox."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx2
import pyotp
import pytest

from libs.common.contracts.accounts import CredentialsRevoked
from services.accounts.use_cases.forget_expired import ForgetExpired
from services.accounts.use_cases.send_password_resets import SendPasswordResets
from tests.integration.accounts.conftest import PASSWORD, World

NEW = "a wholly different battery"


async def tokens_of(world: World, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = await world.log_in(email, password)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def still_works(world: World, tokens: dict[str, Any]) -> bool:
    body = {"refresh_token": tokens["refresh_token"]}
    return (await world.http.post("/api/v1/auth/refresh", json=body)).status_code == 200


async def changed(world: World, tokens: dict[str, Any], old: str, new: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"old_password": old, "new_password": new}
    return await world.http.post("/api/v1/auth/password", json=body, headers=headers)


async def asked(world: World, email: str) -> httpx2.Response:
    return await world.http.post("/api/v1/auth/password-reset", json={"email": email})


async def mails(world: World, email: str, subject: str = "Set a new password") -> list[str]:
    return [mail.text for mail in await world.mails_to(email) if mail.subject == subject]


async def mailed_token(world: World, email: str) -> str:
    """Ask for a token, let the timer mail it, and read the mail."""
    assert (await asked(world, email)).status_code == 202
    await SendPasswordResets(world.uow, world.clock)()
    found = re.search(r"^\S{43}$", (await mails(world, email))[-1], re.MULTILINE)
    assert found is not None
    return found[0]


async def confirmed(world: World, token: str, new: str = NEW) -> httpx2.Response:
    body = {"token": token, "new_password": new}
    return await world.http.post("/api/v1/auth/password-reset/confirm", json=body)


async def test_another_password_ends_every_other_session_and_is_told_by_mail(world: World) -> None:
    user_id = await world.register("change@example.com")
    mine, other = await tokens_of(world, "change@example.com"), await tokens_of(world, "change@example.com")
    assert (await changed(world, mine, PASSWORD, NEW)).status_code == 204
    assert (await still_works(world, mine), await still_works(world, other)) == (True, False)
    assert (await world.log_in("change@example.com")).json()["code"] == "invalid_credentials"
    assert (await world.log_in("change@example.com", NEW)).status_code == 200
    assert len(await mails(world, "change@example.com", "Your password was changed")) == 1
    assert len([one for one in world.publisher.said(user_id) if isinstance(one, CredentialsRevoked)]) == 1
    log = await world.rows(
        "SELECT * FROM accounts.audit_log WHERE action = 'password.change' AND actor_id = $1", user_id
    )
    assert [(row["resource_id"], row["outcome"]) for row in log] == [(user_id, "done")]


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        ("not my password", NEW, 403, "password_wrong"),
        (PASSWORD, "qwerty123456", 422, "password_common"),
        (PASSWORD, "Ada Lovelace 1815", 422, "password_personal"),
        (PASSWORD, "short", 422, "invalid_request"),
    ],
)
async def test_what_is_refused_changes_nothing(world: World, old: str, new: str, status: int, code: str) -> None:
    email = f"{code.replace('_', '.')}@example.com"
    await world.register(email)
    mine, other = await tokens_of(world, email), await tokens_of(world, email)
    answer = await changed(world, mine, old, new)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert new not in answer.text
    assert await still_works(world, other)
    assert (await world.log_in(email)).status_code == 200


async def test_of_two_changes_at_once_one_wins(world: World) -> None:
    await world.register("two@example.com")
    mine = await tokens_of(world, "two@example.com")
    answers = await asyncio.gather(*(changed(world, mine, PASSWORD, f"{NEW} {number}") for number in range(2)))
    assert sorted(answer.status_code for answer in answers) == [204, 403]
    winner = [answer.status_code for answer in answers].index(204)
    assert (await world.log_in("two@example.com", f"{NEW} {winner}")).status_code == 200


async def test_a_log_in_that_began_with_the_old_password_does_not_outlive_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.register("overtaken@example.com")
    mine = await tokens_of(world, "overtaken@example.com")
    verify = world.passwords.verify

    async def verify_slowly(stored_hash: str | None, password: str) -> bool:
        fits = await verify(stored_hash, password)
        monkeypatch.setattr(world.passwords, "verify", verify)
        assert (await changed(world, mine, PASSWORD, NEW)).status_code == 204
        return fits

    monkeypatch.setattr(world.passwords, "verify", verify_slowly)
    assert (await world.log_in("overtaken@example.com")).json()["code"] == "invalid_credentials"


async def test_a_mailed_token_sets_a_new_password_once_and_ends_every_session(world: World) -> None:
    await world.register("forgot@example.com")
    sessions = [await tokens_of(world, "forgot@example.com") for _ in range(2)]
    token = await mailed_token(world, "forgot@example.com")
    [row] = await world.rows("SELECT * FROM accounts.password_resets WHERE token_hash IS NOT NULL AND used_at IS NULL")
    assert token.encode() not in bytes(row["token_hash"])
    assert (await confirmed(world, token)).status_code == 204
    assert [await still_works(world, tokens) for tokens in sessions] == [False, False]
    assert (await world.log_in("forgot@example.com")).json()["code"] == "invalid_credentials"
    assert (await world.log_in("forgot@example.com", NEW)).status_code == 200
    again = await confirmed(world, token, "a third battery of horses")
    assert (again.status_code, again.json()["code"]) == (422, "reset_token_invalid")
    assert len(await mails(world, "forgot@example.com", "Your password was changed")) == 1


@pytest.mark.parametrize("is_proved", [False, True])
async def test_whoever_proves_an_e_mail_by_a_new_password_finds_nothing_that_another_left(
    world: World, *, is_proved: bool
) -> None:
    email = f"planted.{is_proved}@example.com".lower()
    user_id = await world.register(email)
    moment = world.clock() if is_proved else None
    await world.rows("UPDATE accounts.customers SET email_verified_at = $2 WHERE user_id = $1", user_id, moment)
    tokens = await tokens_of(world, email)
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"name": "stays", "scopes": ["accounts:read"]}
    key = (await world.http.post("/api/v1/api-keys", json=body, headers=header)).json()
    secret = (await world.http.post("/api/v1/auth/totp", headers=header)).json()["secret"]
    code = {"totp_code": pyotp.TOTP(secret).at(world.clock())}
    assert (await world.http.post("/api/v1/auth/totp/confirm", json=code, headers=header)).status_code == 200

    assert (await confirmed(world, await mailed_token(world, email))).status_code == 204
    assert not await still_works(world, tokens)
    [row] = await world.rows("SELECT revoked_at FROM accounts.api_keys WHERE key_id = $1", key["key_id"])
    assert (row["revoked_at"] is None) is is_proved
    [told_of_password] = await mails(world, email, "Your password was changed")
    assert (f"\n  {key['key_id']}, made on " in told_of_password) is is_proved
    assert ("API keys that work: none\n" in told_of_password) is not is_proved
    assert "Webhooks: GET /api/v1/webhooks lists" in told_of_password
    assert "stays" not in told_of_password, "the name is text of whoever made the key"
    answer = await world.log_in(email, NEW)
    assert answer.json().get("code", "") == ("second_factor_required" if is_proved else "")
    told = [one.key_id for one in world.publisher.said(user_id) if isinstance(one, CredentialsRevoked)]
    assert (key["key_id"] in told) is not is_proved
    [stored] = await world.rows("SELECT email_verified_at FROM accounts.customers WHERE user_id = $1", user_id)
    assert stored["email_verified_at"] is not None


async def test_of_two_uses_of_a_token_at_once_one_wins(world: World) -> None:
    await world.register("race.reset@example.com")
    token = await mailed_token(world, "race.reset@example.com")
    answers = await asyncio.gather(*(confirmed(world, token, f"{NEW} {number}") for number in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 422, 422]


async def test_an_old_token_and_those_of_before_the_change_are_worth_nothing(world: World) -> None:
    await world.register("late.reset@example.com")
    expired = await mailed_token(world, "late.reset@example.com")
    world.clock.move(timedelta(minutes=30))
    assert (await confirmed(world, expired)).json()["code"] == "reset_token_invalid"
    first = await mailed_token(world, "late.reset@example.com")
    second = await mailed_token(world, "late.reset@example.com")
    assert first != second
    assert (await confirmed(world, second)).status_code == 204
    assert (await confirmed(world, first)).json()["code"] == "reset_token_invalid"


async def test_a_refused_password_leaves_the_token_usable(world: World) -> None:
    await world.register("choosy@example.com")
    token = await mailed_token(world, "choosy@example.com")
    assert (await confirmed(world, token, "qwerty123456")).json()["code"] == "password_common"
    assert (await confirmed(world, token)).status_code == 204


async def test_an_unknown_e_mail_is_answered_and_stored_alike_and_nothing_is_mailed(world: World) -> None:
    await world.register("known.reset@example.com")
    before = len(await world.rows("SELECT 1 FROM accounts.password_resets"))
    answers = [
        await asked(world, email) for email in (" Known.Reset@Example.com", "nobody.reset@example.com", "ß@ß.de")
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 3
    assert len(await world.rows("SELECT 1 FROM accounts.password_resets")) == before + 3
    await SendPasswordResets(world.uow, world.clock)()
    assert len(await world.rows("SELECT 1 FROM accounts.password_resets")) == before + 1
    assert await mails(world, "nobody.reset@example.com") == []


async def test_a_mailbox_is_sent_three_tokens_an_hour(world: World) -> None:
    await world.register("flooded@example.com")
    for _ in range(5):
        assert (await asked(world, "flooded@example.com")).status_code == 202
    send = SendPasswordResets(world.uow, world.clock)
    await asyncio.gather(send(), send())
    assert len(await mails(world, "flooded@example.com")) == 3
    world.clock.move(timedelta(hours=1, seconds=1))
    await mailed_token(world, "flooded@example.com")
    assert len(await mails(world, "flooded@example.com")) == 4


async def test_who_is_closed_gets_no_token(world: World) -> None:
    user_id = await world.register("closed.reset@example.com")
    token = await mailed_token(world, "closed.reset@example.com")
    await world.rows("UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1", user_id)
    assert (await confirmed(world, token)).json()["code"] == "reset_token_invalid"
    await asked(world, "closed.reset@example.com")
    await SendPasswordResets(world.uow, world.clock)()
    assert len(await mails(world, "closed.reset@example.com")) == 1


async def test_requests_are_forgotten_after_a_day(world: World) -> None:
    await world.register("day.reset@example.com")
    token = await mailed_token(world, "day.reset@example.com")
    world.clock.move(timedelta(days=1, seconds=1))
    await ForgetExpired(world.uow, world.clock)()
    day_ago = world.clock() - timedelta(days=1)
    assert await world.rows("SELECT 1 FROM accounts.password_resets WHERE asked_at < $1", day_ago) == []
    assert (await confirmed(world, token)).json()["code"] == "reset_token_invalid"


async def test_nobody_registers_with_a_password_that_is_tried_first(world: World) -> None:
    for password, code in (("qwerty123456", "password_common"), ("Ada Lovelace!!", "password_personal")):
        body = {"email": "weak@example.com", "password": password, "full_name": "Ada Lovelace"}
        answer = await world.http.post("/api/v1/users", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
