"""Batches: atomic ones all or none, independent ones each on its own, results in the order of the request."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from libs.common.ids import new_id
from tests.e2e.api_client import Api, Person, new_key, problem, transfer


def post(api: Api, who: Person, mode: str, items: list[dict[str, Any]], **headers: Any) -> httpx2.Response:
    return api.post("/transfers/batch", {"mode": mode, "transfers": items}, token=who.token, **headers)


def item(source: Person, target: Person, amount_minor: int = 1, **changes: Any) -> dict[str, Any]:
    return transfer(source, target, amount_minor, **{"idempotency_key": new_key(), **changes})


def keys_of(items: list[dict[str, Any]]) -> list[str]:
    return [each["idempotency_key"] for each in items]


def test_an_atomic_batch_that_posts_is_201_in_order_and_replays(api: Api, alice: Person, bob: Person) -> None:
    before, balance_minor = api.rows(), api.balance_minor(bob)
    items = [item(alice, bob, amount) for amount in (5, 3, 4)]
    first, second = (post(api, alice, "atomic", items) for _ in range(2))
    assert first.status_code == 201, first.text
    results = first.json()["results"]
    assert [result["idempotency_key"] for result in results] == keys_of(items)
    assert {result["status"] for result in results} == {"posted"}
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert api.rows() == (before[0] + 3, before[1] + 3)
    assert api.balance_minor(bob) == balance_minor + 12


def test_an_atomic_batch_with_one_that_cannot_be_moves_nothing(api: Api, alice: Person, bob: Person) -> None:
    balances = api.balance_minor(alice), api.balance_minor(bob)
    items = [item(alice, bob, 5), item(alice, bob, 2**53 - 1 - 10**9), item(alice, bob, 4)]
    items[1]["amount_minor"] = 90_000_000
    first, second = (post(api, alice, "atomic", items) for _ in range(2))
    assert first.status_code == 422, first.text
    results = first.json()["results"]
    codes = [result["problem"]["code"] for result in results]
    assert codes == ["batch_refused", "insufficient_funds", "batch_refused"]
    assert [result["idempotency_key"] for result in results] == keys_of(items)
    assert all(result["transfer_id"] for result in results)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert (api.balance_minor(alice), api.balance_minor(bob)) == balances


def test_an_atomic_batch_with_a_payee_who_must_wait_moves_nothing(api: Api, alice: Person, bob: Person) -> None:
    pending = api.person("gerda", verified=False)
    balances = api.balance_minor(alice), api.balance_minor(bob)
    answer = post(api, alice, "atomic", [item(alice, bob, 5), item(alice, pending, 5)])
    assert answer.status_code == 422, answer.text
    assert [r["problem"]["code"] for r in answer.json()["results"]] == ["batch_refused", "hold_in_atomic_batch"]
    assert (api.balance_minor(alice), api.balance_minor(bob)) == balances


def test_an_atomic_batch_over_a_foreign_account_stores_nothing(api: Api, alice: Person, bob: Person) -> None:
    before = api.rows()
    answer = post(api, alice, "atomic", [item(alice, bob), item(bob, alice)])
    problem(answer, 403, "source_account_not_yours")
    assert api.rows() == before


def test_a_key_of_an_atomic_batch_cannot_be_used_in_another_batch(api: Api, alice: Person, bob: Person) -> None:
    items = [item(alice, bob, 1), item(alice, bob, 2)]
    assert post(api, alice, "atomic", items).status_code == 201
    before = api.rows()
    for other in (items[:1], items[::-1], [*items, item(alice, bob)]):
        problem(post(api, alice, "atomic", other), 422, "idempotency_key_reused")
    assert api.rows() == before


def test_an_independent_batch_reports_each_in_order(api: Api, alice: Person, bob: Person) -> None:
    before, balance_minor = api.rows(), api.balance_minor(bob)
    pending = api.person("hilda", verified=False)
    items = [
        item(alice, bob, 5),
        item(bob, alice, 1),
        item(alice, bob, 90_000_000),
        item(alice, pending, 6),
        item(alice, alice, 1),
        item(alice, bob, 7),
    ]
    first, second = (post(api, alice, "independent", items) for _ in range(2))
    assert first.status_code == 200, first.text
    results = first.json()["results"]
    assert [result["idempotency_key"] for result in results] == keys_of(items)
    assert [result["status"] for result in results] == ["posted", "refused", "refused", "held", "refused", "posted"]
    codes = [result.get("problem", {}).get("code") for result in results]
    assert codes == [None, "source_account_not_yours", "insufficient_funds", None, "same_account", None]
    assert [result["transfer_id"] is not None for result in results] == [True, False, True, True, False, True]
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert api.rows() == (before[0] + 4, before[1] + 4)
    assert api.balance_minor(bob) == balance_minor + 12


def test_an_independent_batch_that_posts_wholly_is_201(api: Api, alice: Person, bob: Person) -> None:
    assert post(api, alice, "independent", [item(alice, bob), item(alice, bob)]).status_code == 201


def test_a_known_key_in_an_independent_batch_keeps_nobody_back(api: Api, alice: Person, bob: Person) -> None:
    known = item(alice, bob, 1)
    first = post(api, alice, "independent", [known]).json()["results"][0]
    mixed = post(api, alice, "independent", [{**known, "amount_minor": 2}, known | {}, item(alice, bob)][1:])
    assert mixed.status_code == 201
    assert mixed.json()["results"][0] == first
    changed = post(api, alice, "independent", [{**known, "amount_minor": 2}, item(alice, bob)])
    assert changed.status_code == 200
    assert [r["status"] for r in changed.json()["results"]] == ["refused", "posted"]
    assert changed.json()["results"][0]["problem"]["code"] == "idempotency_key_reused"


def test_concurrent_copies_of_an_atomic_batch_have_one_effect(api: Api, alice: Person, bob: Person) -> None:
    before = api.rows()
    items = [item(alice, bob, 1) for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(api, alice, "atomic", items), range(8)))
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 409, "request_in_progress")
    assert api.rows() == (before[0] + 20, before[1] + 20)


def test_a_batch_of_a_thousand_is_taken_and_one_without_waiting_is_200(api: Api, alice: Person, bob: Person) -> None:
    items = [item(alice, bob) for _ in range(1000)]
    accepted = post(api, alice, "atomic", items, Prefer="respond-async")
    assert (accepted.status_code, accepted.headers["preference-applied"]) == (200, "respond-async")
    assert {result["status"] for result in accepted.json()["results"]} == {"accepted"}
    posted = post(api, alice, "atomic", items, Prefer="wait=30")
    assert posted.status_code == 201, posted.text[:500]
    assert [result["idempotency_key"] for result in posted.json()["results"]] == keys_of(items)


def test_an_unknown_payee_in_a_batch_is_refused_by_the_ledger(api: Api, alice: Person, bob: Person) -> None:
    items = [item(alice, bob), item(alice, bob, destination_account_id=new_id())]
    answer = post(api, alice, "independent", items, Prefer="wait=20")
    assert [result["status"] for result in answer.json()["results"]] == ["posted", "refused"]
    assert answer.json()["results"][1]["problem"]["code"] == "unknown_account"
