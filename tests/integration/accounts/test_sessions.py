"""A customer sees his log-ins and ends them, from wherever."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest

from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.ids import new_id
from services.accounts.use_cases.forget_expired import ForgetExpired
from tests.integration.accounts.conftest import PASSWORD, World

PATH = "/api/v1/auth/sessions"


async def begun(world: World, email: str, **headers: str) -> dict[str, Any]:
    """Log in with these headers and return the tokens."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"email": email, "password": PASSWORD}
    answer = await world.http.post("/api/v1/auth/login", json=body, headers=sent)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def claims_of(tokens: Mapping[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return claims


def bearer(tokens: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def refreshed(world: World, tokens: Mapping[str, Any], **headers: str) -> Any:
    body = {"refresh_token": tokens["refresh_token"]}
    return await world.http.post("/api/v1/auth/refresh", json=body, headers=headers)


async def listed(world: World, tokens: Mapping[str, Any], query: str = "") -> dict[str, Any]:
    answer = await world.http.get(PATH + query, headers=bearer(tokens))
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_a_token_says_of_which_log_in_it_is_and_when_it_was_proven_also_after_a_refresh(world: World) -> None:
    await world.register("claims@example.com")
    world.clock.stop()
    tokens = await begun(world, "claims@example.com")
    first = claims_of(tokens)
    assert (first["auth_time"], first["amr"]) == (int(world.clock().timestamp()), ["pwd"])
    world.clock.move(timedelta(minutes=10))
    second = claims_of((await refreshed(world, tokens)).json())
    assert {name: second[name] for name in ("sid", "auth_time", "amr")} == {
        name: first[name] for name in ("sid", "auth_time", "amr")
    }
    assert second["iat"] > first["iat"]


async def test_the_list_says_since_when_from_where_and_when_last_used(world: World) -> None:
    await world.register("list@example.com")
    there = await begun(world, "list@example.com", x_forwarded_for="198.51.100.7", user_agent="Phone/2")
    here = await begun(world, "list@example.com", x_forwarded_for="2001:db8::1", user_agent="Browser/1" + "x" * 300)
    world.clock.move(timedelta(hours=1))
    await refreshed(world, there, **{"x-forwarded-for": "203.0.113.9", "user-agent": "Phone/3"})
    page = await listed(world, here)
    assert page["next"] is None
    newest, oldest = page["sessions"]
    assert (newest["address"], newest["user_agent"][:10], newest["is_current"]) == ("2001:db8::1", "Browser/1x", True)
    assert len(newest["user_agent"]) == 200
    assert newest["begun_at"] == newest["last_used_at"]
    assert (oldest["address"], oldest["user_agent"], oldest["is_current"]) == ("203.0.113.9", "Phone/3", False)
    assert oldest["session_id"] == claims_of(there)["sid"]
    assert oldest["begun_at"] < newest["begun_at"] < oldest["last_used_at"] < oldest["expires_at"]


async def test_the_list_comes_in_pages_of_ones_own(world: World) -> None:
    await world.register("pages@example.com")
    await world.register("other.pages@example.com")
    logins = [await begun(world, "pages@example.com") for _ in range(5)]
    await begun(world, "other.pages@example.com")
    expected = [claims_of(tokens)["sid"] for tokens in reversed(logins)]
    found: list[str] = []
    query = "?limit=2"
    while query:
        page = await listed(world, logins[0], query)
        found += [session["session_id"] for session in page["sessions"]]
        query = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert found == expected
    wrong = await world.http.get(f"{PATH}?cursor=nonsense", headers=bearer(logins[0]))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "cursor_invalid")


async def test_ending_one_ends_its_tokens_and_tells_every_service(world: World) -> None:
    user_id = await world.register("end@example.com")
    mine, lost = await begun(world, "end@example.com"), await begun(world, "end@example.com")
    lost_id = claims_of(lost)["sid"]
    answer = await world.http.delete(f"{PATH}/{lost_id}", headers=bearer(mine))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await refreshed(world, lost)).json()["code"] == "refresh_token_invalid"
    assert [session["session_id"] for session in (await listed(world, mine))["sessions"]] == [claims_of(mine)["sid"]]
    said = [message for message in world.publisher.said(user_id) if isinstance(message, CredentialsRevoked)]
    assert [(message.user_id, message.session_id, message.key_id) for message in said] == [(user_id, lost_id, "")]
    again = await world.http.delete(f"{PATH}/{lost_id}", headers=bearer(mine))
    assert (again.status_code, again.json()["code"]) == (404, "session_not_found")
    assert (await refreshed(world, mine)).status_code == 200


async def test_nobody_ends_what_is_another_persons(world: World) -> None:
    await world.register("victim@example.com")
    await world.register("vandal@example.com")
    victim, vandal = await begun(world, "victim@example.com"), await begun(world, "vandal@example.com")
    for session_id in (claims_of(victim)["sid"], new_id(), "no id"):
        answer = await world.http.delete(f"{PATH}/{session_id}", headers=bearer(vandal))
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert (await world.http.delete(PATH, headers=bearer(vandal))).status_code == 204
    assert (await refreshed(world, victim)).status_code == 200


async def test_ending_all_others_leaves_the_one_that_asks(world: World) -> None:
    user_id = await world.register("others@example.com")
    lost = [await begun(world, "others@example.com") for _ in range(3)]
    mine = await begun(world, "others@example.com")
    for _ in range(2):
        assert (await world.http.delete(PATH, headers=bearer(mine))).status_code == 204
    assert {(await refreshed(world, tokens)).status_code for tokens in lost} == {401}
    assert (await refreshed(world, mine)).status_code == 200
    said = [message for message in world.publisher.said(user_id) if isinstance(message, CredentialsRevoked)]
    assert sorted(message.session_id for message in said) == sorted(claims_of(tokens)["sid"] for tokens in lost)


async def test_logging_out_tells_every_service_once(world: World) -> None:
    user_id = await world.register("bye@example.com")
    tokens = await begun(world, "bye@example.com")
    for _ in range(2):
        await world.http.post("/api/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    said = [message for message in world.publisher.said(user_id) if isinstance(message, CredentialsRevoked)]
    assert [message.session_id for message in said] == [claims_of(tokens)["sid"]]


async def test_a_copied_token_is_told_to_the_customer_and_to_every_service(world: World) -> None:
    user_id = await world.register("copied@example.com")
    tokens = await begun(world, "copied@example.com")
    await refreshed(world, tokens)
    thief = {"x-forwarded-for": "203.0.113.66", "user-agent": "click http://evil.example"}
    assert (await refreshed(world, tokens, **thief)).json()["code"] == "refresh_token_reused"
    assert (await refreshed(world, tokens, **thief)).json()["code"] == "refresh_token_invalid"
    said = [message for message in world.publisher.said(user_id) if isinstance(message, CredentialsRevoked)]
    assert [message.session_id for message in said] == [claims_of(tokens)["sid"]]
    [mail] = [mail for mail in await world.mails_to("copied@example.com") if mail.subject.startswith("We ended")]
    assert "203.0.113.66" in mail.text
    assert "evil" not in mail.text


async def test_the_log_in_used_least_lately_makes_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.accounts.use_cases.begin_session.SESSIONS_MAX", 2)
    await world.register("many@example.com")
    oldest = await begun(world, "many@example.com")
    second = await begun(world, "many@example.com")
    oldest = (await refreshed(world, oldest)).json()
    third = await begun(world, "many@example.com")
    assert (await refreshed(world, second)).json()["code"] == "refresh_token_invalid"
    assert {(await refreshed(world, tokens)).status_code for tokens in (oldest, third)} == {200}


async def test_a_session_is_forgotten_a_day_after_it_expired(world: World) -> None:
    user_id = await world.register("forgotten@example.com")
    await begun(world, "forgotten@example.com")
    forget = ForgetExpired(world.uow, world.clock)
    count = "SELECT 1 FROM accounts.sessions WHERE user_id = $1"
    world.clock.move(timedelta(days=30, hours=23))
    await forget()
    assert len(await world.rows(count, user_id)) == 1
    world.clock.move(timedelta(hours=2))
    await forget()
    assert await world.rows(count, user_id) == []


async def test_the_audit_log_knows_when_and_from_where_a_session_began_and_ended(world: World) -> None:
    user_id = await world.register("audited@example.com")
    tokens = await begun(world, "audited@example.com", x_forwarded_for="198.51.100.7")
    await world.http.delete(f"{PATH}/{claims_of(tokens)['sid']}", headers=bearer(tokens))
    rows = await world.rows(
        "SELECT * FROM accounts.audit_log WHERE resource_id = $1 ORDER BY at", claims_of(tokens)["sid"]
    )
    assert [(row["action"], row["actor_id"], row["outcome"]) for row in rows] == [
        ("session.begin", user_id, "done"),
        ("session.end", user_id, "done"),
    ]
    assert rows[0]["address"] == "198.51.100.7"
