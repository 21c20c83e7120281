"""How long a caller waits, what he is told, who may ask later, and what proves it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic

import asyncpg
import pytest

from libs.common.ids import is_id, new_id
from libs.common.proof.receipts import verify_receipt
from tests.e2e.api_client import Api, Person, new_key, problem, transfer, wait_until


def proven(api: Api, transfer_id: str, token: str) -> tuple[str, str]:
    """Return (kind, code) of the record that the transfer's receipt proves with nothing but the public key."""
    keys = api.get("/transparency/key").text
    last_answer: list[bytes] = []

    def verifiable() -> bool:
        answer = api.get(f"/transfers/{transfer_id}/receipt", token)
        last_answer.append(answer.content)
        return answer.status_code == 200

    wait_until("the receipt", verifiable)
    record = verify_receipt(last_answer[-1], keys).record
    assert record["transfer_id"] == transfer_id
    return str(record["kind"]), str(record["code"])


def test_a_posted_transfer_is_201_with_its_location_and_a_receipt(api: Api, alice: Person, bob: Person) -> None:
    answer = api.post(
        "/transfers",
        transfer(alice, bob, 9, description="for lunch", metadata={"order": "17"}),
        token=alice.token,
        key=new_key(),
    )
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["status"], shown["version"], shown["kind"]) == ("posted", 1, "transfer")
    assert shown["memo"] == {"description": "for lunch", "metadata": {"order": "17"}}
    assert answer.headers["location"] == f"/api/v1/transfers/{shown['transfer_id']}"
    assert api.http.get(answer.headers["location"], headers={"Authorization": f"Bearer {alice.token}"}).json() == shown
    assert proven(api, shown["transfer_id"], alice.token) == ("transfer.posted", "")
    assert proven(api, shown["transfer_id"], bob.token) == ("transfer.posted", "")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("respond-async", "respond-async"), ("wait=0", "wait=0"), ("Respond-Async, wait=0", "wait=0")],
)
def test_who_does_not_wait_gets_202_and_finds_the_outcome(
    prefer: str, applied: str, api: Api, alice: Person, bob: Person
) -> None:
    answer = api.pay(alice, bob, 9, Prefer=prefer)
    assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (202, "accepted", 0)
    assert answer.headers["preference-applied"] == applied
    location = answer.headers["location"].removeprefix("/api/v1")
    wait_until("it to be posted", lambda: api.get(location, alice.token).json()["status"] == "posted")


@contextmanager
def no_decision(api: Api) -> Iterator[None]:
    """Let fraud decide nothing while the block runs."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(api.dsn))
        try:
            runner.run(connection.execute("BEGIN; LOCK TABLE fraud.decisions IN ACCESS EXCLUSIVE MODE"))
            yield
        finally:
            runner.run(connection.close())


def test_a_wait_for_what_takes_longer_ends_in_time_with_202(api: Api, alice: Person) -> None:
    """An unknown payee takes fraud some seconds, as he may just have been opened; and here it cannot decide at all."""
    key, body = new_key(), {**transfer(alice, alice), "destination_account_id": new_id()}
    with ThreadPoolExecutor(1) as pool, no_decision(api):
        patient = pool.submit(api.post, "/transfers", body, token=alice.token, key=key, Prefer="wait=25")
        began = monotonic()
        wait_until(
            "the first copy to be stored", lambda: bool(api.count("gateway.transfers", f"idempotency_key='{key}'"))
        )
        hasty = api.post("/transfers", body, token=alice.token, key=key, Prefer="wait=1")
        assert (hasty.status_code, hasty.json()["status"]) == (202, "accepted")
        assert monotonic() - began < 20
    refused = patient.result()
    problem(refused, 422, "unknown_account")
    assert refused.json()["transfer_id"] == hasty.json()["transfer_id"]
    assert proven(api, refused.json()["transfer_id"], alice.token) == ("transfer.refused", "unknown_account")


def test_a_transfer_to_somebody_unverified_is_held_until_he_is(api: Api, alice: Person) -> None:
    pending = api.person("ida", verified=False)
    answer = api.pay(alice, pending, 30)
    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    assert answer.json()["reasons"] == ["kyc_pending"]
    location = answer.headers["location"].removeprefix("/api/v1")
    payer = api.get(f"/accounts/{alice.account_id}", alice.token).json()
    assert payer["posted_minor"] - payer["available_minor"] >= 30
    api.verify(pending)
    wait_until("the release", lambda: api.get(location, alice.token).json()["status"] == "posted")
    assert api.balance_minor(pending) == 30


def test_a_block_names_its_limit_and_leaves_a_receipt(api: Api, bob: Person) -> None:
    rich = api.person("jutta", funds_minor=200_000_000)
    blocked = api.pay(rich, bob, 100_000_001)
    document = problem(blocked, 403, "amount_limit_exceeded")
    assert document["transfer_status"] == "blocked"
    assert (document["limit_minor"], document["requested_minor"]) == (100_000_000, 100_000_001)
    assert document["instance"] == f"/api/v1/transfers/{document['transfer_id']}"
    assert proven(api, document["transfer_id"], rich.token) == ("transfer.blocked", "amount_limit_exceeded")
    assert api.balance_minor(rich) == 200_000_000


def test_a_refusal_says_what_is_missing_and_leaves_a_receipt(api: Api, bob: Person) -> None:
    poor = api.person("karla", funds_minor=10)
    document = problem(api.pay(poor, bob, 11), 422, "insufficient_funds")
    assert (document["transfer_status"], document["needed_minor"], document["available_minor"]) == ("refused", 11, 10)
    assert is_id(document["transfer_id"])
    assert proven(api, document["transfer_id"], poor.token) == ("transfer.refused", "insufficient_funds")


def is_shown(api: Api, path: str, token: str) -> bool:
    return api.get(path, token).status_code == 200


def test_only_parties_and_staff_see_a_transfer_and_its_receipt(
    api: Api, alice: Person, bob: Person, stranger: Person
) -> None:
    transfer_id = api.pay(alice, bob, 5).json()["transfer_id"]
    for path in (f"/transfers/{transfer_id}", f"/transfers/{transfer_id}/receipt"):
        wait_until("the receipt", partial(is_shown, api, path, alice.token))
        assert [api.get(path, who).status_code for who in (alice.token, bob.token, api.admin_token)] == [200] * 3
        foreign = problem(api.get(path, stranger.token), 404, "transfer_not_found")
        unknown = problem(api.get(path.replace(transfer_id, new_id()), stranger.token), 404, "transfer_not_found")
        assert {**foreign, "instance": ""} == {**unknown, "instance": ""}
        problem(api.get(path), 401, "token_missing")
    for nonsense in ("x", "1", "%00", new_id().upper(), "x" * 100):
        assert 400 <= api.get(f"/transfers/{nonsense}", alice.token).status_code < 500


def test_an_operator_alone_deposits(api: Api, alice: Person) -> None:
    before = api.rows()
    assert problem(api.deposit(alice, 5, token=alice.token), 403, "role_required")["roles"] == ["operator"]
    assert api.rows() == before
    deposited = api.deposit(alice, 5)
    assert (deposited.status_code, deposited.json()["kind"]) == (201, "deposit")
    assert deposited.json()["memo"] == {"reference": "cash"}


def test_not_even_staff_debits_a_customers_account(api: Api, alice: Person, bob: Person) -> None:
    before = api.rows()
    problem(api.pay(alice, bob, token=api.admin_token), 403, "source_account_not_yours")
    problem(api.pay(alice, bob, token=bob.token), 403, "source_account_not_yours")
    assert api.rows() == before


def test_legs_move_together(api: Api, alice: Person, bob: Person, stranger: Person) -> None:
    balances = api.balance_minor(bob), api.balance_minor(stranger)
    legs = [transfer(alice, bob, 4), transfer(alice, stranger, 6)]
    answer = api.post("/transfers", {"legs": legs}, token=alice.token, key=new_key())
    assert (answer.status_code, answer.json()["legs"]) == (201, legs)
    assert (api.balance_minor(bob), api.balance_minor(stranger)) == (balances[0] + 4, balances[1] + 6)
    too_much = [transfer(alice, bob, 4), transfer(alice, stranger, 90_000_000)]
    problem(api.post("/transfers", {"legs": too_much}, token=alice.token, key=new_key()), 422, "insufficient_funds")
    assert (api.balance_minor(bob), api.balance_minor(stranger)) == (balances[0] + 4, balances[1] + 6)


def test_amounts_at_the_edge_of_what_json_keeps_exact_are_decided_and_not_failed(
    api: Api, alice: Person, bob: Person
) -> None:
    problem(api.pay(alice, bob, 2**53 - 1), 403, "amount_limit_exceeded")
    legs = {"legs": [transfer(alice, bob, 2**53 - 1)] * 100}
    problem(api.post("/transfers", legs, token=alice.token, key=new_key()), 403, "amount_limit_exceeded")
