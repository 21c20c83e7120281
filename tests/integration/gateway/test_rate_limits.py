"""So many requests a minute, whoever asks; who repeats himself is not counted."""

from typing import Any

import httpx2
import pytest

from libs.common.ids import new_id
from services.gateway.settings import Bounds
from services.gateway.store.directory import KnownAccount
from tests.integration.gateway.counter import Counter

BOUNDS = Bounds()


async def pay(counter: Counter, http: httpx2.AsyncClient, who: KnownAccount, key: str, **body: Any) -> httpx2.Response:
    headers = {**counter.keys.bearer(who.owner_id), "Idempotency-Key": key, "Prefer": "wait=0"}
    return await http.post("/api/v1/transfers", json=counter.body(who, **body), headers=headers)


def assert_limited(answer: httpx2.Response, limit: str) -> None:
    assert answer.status_code == 429, answer.text
    document = answer.json()
    assert (document["code"], document["limit"]) == ("rate_limited", limit)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert document["retry_after_seconds"] == int(answer.headers["retry-after"])


async def test_a_principal_may_send_twenty_money_requests_a_minute(limited: Counter) -> None:
    business, other = limited.knows_customer("business"), limited.knows_customer("business")
    async with limited.http() as http:
        answers = [await pay(limited, http, business, new_id()) for _ in range(BOUNDS.transfers)]
        assert {answer.status_code for answer in answers} == {202}
        before = await limited.rows("SELECT count(*) FROM gateway.transfers")
        assert_limited(await pay(limited, http, business, new_id()), "transfers")
        assert await limited.rows("SELECT count(*) FROM gateway.transfers") == before
        assert (await pay(limited, http, other, new_id())).status_code == 202


async def test_people_share_ten_money_requests_a_minute_from_one_address(limited: Counter) -> None:
    people = [limited.knows_customer() for _ in range(3)]
    async with limited.http("192.0.2.7") as http, limited.http("192.0.2.8") as elsewhere:
        for number in range(BOUNDS.people_per_address):
            assert (await pay(limited, http, people[number % 3], new_id())).status_code == 202
        assert_limited(await pay(limited, http, people[0], new_id()), "money-by-address")
        assert (await pay(limited, elsewhere, people[0], new_id())).status_code == 202
        business = limited.knows_customer("business")
        assert (await pay(limited, http, business, new_id())).status_code == 202


async def test_what_the_address_was_refused_does_not_count_against_the_principal(limited: Counter) -> None:
    person = limited.knows_customer()
    async with limited.http("192.0.2.7") as http, limited.http("192.0.2.8") as elsewhere:
        for _ in range(BOUNDS.people_per_address):
            await pay(limited, http, person, new_id())
        for _ in range(BOUNDS.transfers):
            assert_limited(await pay(limited, http, person, new_id()), "money-by-address")
        assert (await pay(limited, elsewhere, person, new_id())).status_code == 202


async def test_replays_do_not_count_and_pass_beyond_the_limit(limited: Counter) -> None:
    business = limited.knows_customer("business")
    async with limited.http() as http:
        first = await pay(limited, http, business, "again")
        for _ in range(2 * BOUNDS.transfers):
            assert (await pay(limited, http, business, "again")).content == first.content
        for _ in range(BOUNDS.transfers - 1):
            assert (await pay(limited, http, business, new_id())).status_code == 202
        assert (await pay(limited, http, business, "again")).content == first.content


async def test_a_replay_beyond_the_limit_earns_no_new_request(limited: Counter) -> None:
    business = limited.knows_customer("business")
    async with limited.http() as http:
        for number in range(BOUNDS.transfers):
            await pay(limited, http, business, f"full-{number}")
        for _ in range(5):
            assert (await pay(limited, http, business, "full-0")).status_code == 202
            assert_limited(await pay(limited, http, business, new_id()), "transfers")


async def test_beyond_the_limit_nobody_is_asked_whose_an_account_is(limited: Counter) -> None:
    business = limited.knows_customer("business")
    headers = limited.keys.bearer(business.owner_id)

    def many() -> list[dict[str, Any]]:
        return [limited.body(business, destination_account_id=new_id()) for _ in range(3)]

    async with limited.http() as http:

        async def post(key: str) -> httpx2.Response:
            mine = {**headers, "Idempotency-Key": key, "Prefer": "wait=0"}
            return await http.post("/api/v1/transfers", json={"legs": many()}, headers=mine)

        async def post_batch(mode: str, key: str) -> httpx2.Response:
            body = {"mode": mode, "transfers": [{"legs": many(), "idempotency_key": key}]}
            return await http.post("/api/v1/transfers/batch", json=body, headers=headers)

        for number in range(BOUNDS.transfers):
            assert (await post(f"asked-{number}")).status_code == 202
        asked = list(limited.neighbour.asked)
        assert len(asked) == BOUNDS.transfers
        for answer in (
            await post(new_id()),
            await post("asked-0"),
            await post_batch("atomic", new_id()),
            await post_batch("independent", new_id()),
        ):
            assert_limited(answer, "transfers")
        assert limited.neighbour.asked == asked


async def test_what_is_refused_for_its_accounts_counts(limited: Counter) -> None:
    business = limited.knows_customer("business")
    async with limited.http() as http:
        for _ in range(BOUNDS.transfers):
            answer = await pay(limited, http, business, new_id(), source_account_id=new_id())
            assert answer.json()["code"] == "source_account_not_yours"
        assert_limited(await pay(limited, http, business, new_id(), source_account_id=new_id()), "transfers")
        assert len(limited.neighbour.asked) == BOUNDS.transfers


async def test_a_batch_with_anything_new_in_it_is_no_replay(limited: Counter) -> None:
    business = limited.knows_customer("business")
    known = limited.body(business, idempotency_key="known")
    headers = {**limited.keys.bearer(business.owner_id), "Prefer": "wait=0"}

    async with limited.http() as http:

        async def batch(*more: dict[str, Any]) -> httpx2.Response:
            body = {"mode": "independent", "transfers": [known, *more]}
            return await http.post("/api/v1/transfers/batch", json=body, headers=headers)

        for _ in range(BOUNDS.transfers):
            assert (await batch(limited.body(business, idempotency_key=new_id()))).status_code == 200
        assert_limited(await batch(limited.body(business, idempotency_key=new_id())), "transfers")
        assert (await batch()).status_code == 200


async def test_five_log_ins_a_minute_from_one_address(limited: Counter) -> None:
    limited.neighbour.status = 401
    async with limited.http() as http:
        spellings = ["login", "%6cogin", "login", "login?", "l%6Fgin"]
        for spelling in spellings[: BOUNDS.logins]:
            assert (await http.post(f"/api/v1/auth/{spelling}", json={})).status_code == 401
        assert_limited(await http.post("/api/v1/auth/login", json={}), "logins")
        assert_limited(await http.post("/api/v1/auth/%6Cogin", json={}), "logins")
    assert len(limited.neighbour.asked) == BOUNDS.logins


async def test_ten_registrations_a_minute_from_one_address(limited: Counter) -> None:
    limited.neighbour.status = 422
    async with limited.http("192.0.2.7") as http, limited.http("192.0.2.8") as elsewhere:
        for number in range(BOUNDS.registrations):
            spelling = ("users", "%75sers", "users?")[number % 3]
            assert (await http.post(f"/api/v1/{spelling}", json={})).status_code == 422
        assert_limited(await http.post("/api/v1/users", json={}), "registrations")
        assert len(limited.neighbour.asked) == BOUNDS.registrations == 10
        assert (await elsewhere.post("/api/v1/users", json={})).status_code == 422
        assert (await http.post("/api/v1/auth/login", json={})).status_code == 422


@pytest.mark.parametrize("route", ["refresh", "verify-email", "password-reset/confirm", "totp/confirm", "step-up"])
async def test_whatever_proves_who_somebody_is_is_limited_by_address_and_by_person(
    limited: Counter, route: str
) -> None:
    limited.neighbour.status = 401
    person = limited.keys.bearer(new_id())
    async with limited.http("192.0.2.7") as http, limited.http("192.0.2.8") as elsewhere:
        for number in range(BOUNDS.auth):
            # Half of them with somebody else's token: it buys no further attempt.
            headers = person if number % 2 else limited.keys.bearer(new_id())
            assert (await http.post(f"/api/v1/auth/{route}", json={}, headers=headers)).status_code == 401
        assert_limited(await http.post(f"/api/v1/auth/{route}", json={}), "auth-by-address")
        for _ in range(BOUNDS.auth // 2):
            assert (await elsewhere.post(f"/api/v1/auth/{route}", json={}, headers=person)).status_code == 401
        assert_limited(await elsewhere.post(f"/api/v1/auth/{route}", json={}, headers=person), "auth")
    assert len(limited.neighbour.asked) == BOUNDS.auth + BOUNDS.auth // 2


async def test_without_limits_anybody_registers(counter: Counter) -> None:
    counter.neighbour.status = 422
    async with counter.http() as http:
        answers = [await http.post("/api/v1/users", json={}) for _ in range(2 * BOUNDS.registrations)]
    assert {answer.status_code for answer in answers} == {422}


async def test_no_spelling_of_log_in_evades_its_limit(limited: Counter) -> None:
    async with limited.http() as http:
        for spelling in ("login%0a", "login%0A", "login%0d", "%0alogin"):
            answer = await http.post(f"/api/v1/auth/{spelling}", json={})
            assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")
    assert limited.neighbour.asked == []
