"""A hold from its request to its end, money given back, money that goes out, and accounts that staff change."""

import asyncio
from time import monotonic
from typing import Any

import httpx2

from libs.common.clock import from_rfc3339
from services.fraud.use_cases.set_aside import PATIENCE_SECONDS
from tallystick.reconciliation.run import reconcile
from tallystick.stack.stack_file import find_stack
from tests.e2e.api_client import Api, Person, new_key, problem, stopped, transfer, wait_until

REASON = {"reason": "goods came back"}


def hold(api: Api, payer: Person, payee: Person, amount_minor: int, **changes: Any) -> str:
    """Return the id of a hold."""
    body = transfer(payer, payee, amount_minor, hold=True, **changes)
    answer = api.post("/transfers", body, token=payer.token, key=new_key())
    assert (answer.status_code, answer.json()["status"], answer.json()["resolver"]) == (201, "held", "caller")
    assert answer.json()["expires_at"] > answer.json()["accepted_at"]
    return str(answer.json()["transfer_id"])


def act(api: Api, person: Person, transfer_id: str, action: str, body: object, key: str = "") -> httpx2.Response:
    return api.post(f"/transfers/{transfer_id}/{action}", body, token=person.token, key=key or new_key())


def put(api: Api, account_id: str, what: str, body: object) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {api.admin_token}", "Idempotency-Key": new_key()}
    return api.http.put(f"/api/v1/admin/accounts/{account_id}/{what}", json=body, headers=headers)


def test_a_hold_is_captured_in_parts_and_what_is_left_is_given_back(api: Api) -> None:
    payer, payee = api.person("petra", funds_minor=1_000), api.person("paul")
    transfer_id, key = hold(api, payer, payee, 600), new_key()
    account = api.get(f"/accounts/{payer.account_id}", payer.token).json()
    assert (account["posted_minor"], account["available_minor"]) == (1_000, 400)
    first = act(api, payer, transfer_id, "capture", {"amount_minor": 200}, key)
    assert (first.status_code, first.json()["status"], first.json()["captured_minor"]) == (200, "held", 200)
    problem(act(api, payer, transfer_id, "capture", {"amount_minor": 401}), 422, "capture_exceeds_hold")
    last = act(api, payer, transfer_id, "capture", {"amount_minor": 100, "final": True})
    assert (last.status_code, last.json()["status"], last.json()["captured_minor"]) == (200, "posted", 300)
    assert act(api, payer, transfer_id, "capture", {"amount_minor": 200}, key).content == first.content
    over = problem(act(api, payer, transfer_id, "void", {}), 422, "transfer_not_held")
    assert (over["status"], over["transfer_status"]) == (422, "posted")
    assert api.get(f"/transfers/{transfer_id}", payee.token).json() == last.json()
    assert (api.balance_minor(payer), api.balance_minor(payee)) == (700, 300)


def test_a_capture_does_not_overtake_a_hold_that_the_ledger_has_not_seen(api: Api) -> None:
    payer, payee = api.person("otto", funds_minor=100), api.person("olga")
    key = new_key()
    with stopped(api, "ledger"):
        asked = api.post(
            "/transfers",
            transfer(payer, payee, 60, hold=True),
            token=payer.token,
            key=new_key(),
            prefer="respond-async",
        )
        assert (asked.status_code, asked.json()["status"]) == (202, "accepted")
        transfer_id = asked.json()["transfer_id"]
        early = act(api, payer, transfer_id, "capture", {}, key)
        problem(early, 409, "transfer_undecided")
        assert early.headers["retry-after"] == "1"

    def captured() -> bool:
        answer = act(api, payer, transfer_id, "capture", {}, key)
        assert answer.status_code in {200, 202, 409}, answer.text
        return answer.status_code == 200

    wait_until("the capture", captured)
    assert (api.balance_minor(payer), api.balance_minor(payee)) == (40, 60)


def test_a_void_gives_everything_back(api: Api) -> None:
    payer, payee = api.person("vera", funds_minor=100), api.person("viktor")
    transfer_id = hold(api, payer, payee, 60)
    problem(act(api, payee, transfer_id, "void", {}), 403, "not_the_payer")
    answer = api.post(f"/transfers/{transfer_id}/void", token=payer.token, key=new_key(), content=b"")
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (200, "voided", "voided_by_caller")
    assert api.get(f"/accounts/{payer.account_id}", payer.token).json()["available_minor"] == 100


def test_a_hold_ends_by_itself(api: Api) -> None:
    payer, payee = api.person("emil", funds_minor=100), api.person("erna")
    began = monotonic()
    transfer_id = hold(api, payer, payee, 60, expires_in_seconds=3)
    wait_until("the end", lambda: api.get(f"/transfers/{transfer_id}", payer.token).json()["status"] == "voided")
    assert monotonic() - began >= 3
    assert api.get(f"/transfers/{transfer_id}", payer.token).json()["code"] == "hold_expired"


def test_nobody_releases_his_own_review(api: Api) -> None:
    payer, pending = api.person("rita", funds_minor=100), api.person("rudi", verified=False)
    body = transfer(payer, pending, 5, hold=True)
    held = api.post("/transfers", body, token=payer.token, key=new_key())
    assert (held.status_code, held.json()["resolver"]) == (202, "fraud")
    for action in ("capture", "void"):
        problem(act(api, payer, held.json()["transfer_id"], action, {}), 403, "held_by_review")


def test_the_payee_gives_back_in_parts_and_never_more_than_he_got(api: Api) -> None:
    payer, payee = api.person("lena", funds_minor=1_000), api.person("leo")
    transfer_id, key = api.pay(payer, payee, 500).json()["transfer_id"], new_key()
    problem(act(api, payer, transfer_id, "reversals", REASON), 403, "not_the_payee")
    part = act(api, payee, transfer_id, "reversals", {"amount_minor": 200, **REASON}, key)
    assert (part.status_code, part.json()["kind"], part.json()["reverses"]) == (201, "reversal", transfer_id)
    assert act(api, payee, transfer_id, "reversals", {"amount_minor": 200, **REASON}, key).content == part.content
    problem(
        act(api, payee, transfer_id, "reversals", {"amount_minor": 301, **REASON}), 422, "reversal_exceeds_transfer"
    )
    rest = act(api, payee, transfer_id, "reversals", REASON)
    assert (rest.status_code, rest.json()["legs"][0]["amount_minor"]) == (201, 300)
    assert (
        api.http.get(rest.headers["location"], headers={"Authorization": f"Bearer {payer.token}"}).json() == rest.json()
    )
    original = api.get(f"/transfers/{transfer_id}", payer.token).json()
    assert (original["status"], original["reversed_minor"]) == ("posted", 500)
    history = api.get(f"/transfers/{transfer_id}/reversals", payer.token).json()["reversals"]
    assert [(one["status"], one.get("code"), one["amount_minor"]) for one in history] == [
        ("posted", None, 200),
        ("refused", "reversal_exceeds_transfer", 301),
        ("posted", None, 300),
    ]
    assert {one["memo"]["reason"] for one in history} == {REASON["reason"]}
    listed = api.get("/transfers", payer.token).json()["transfers"]
    assert [(one["kind"], one["reversed_minor"], one["reverses"]) for one in listed[:3]] == [
        ("reversal", None, transfer_id),
        ("reversal", None, transfer_id),
        ("transfer", 500, ""),
    ]
    assert (api.balance_minor(payer), api.balance_minor(payee)) == (1_000, 0)


def test_a_withdrawal_goes_out_of_the_account_and_no_limit_stops_it(api: Api) -> None:
    payer = api.person("wanda", funds_minor=200_000_000)
    body = {"account_id": payer.account_id, "amount_minor": 150_000_000, "asset": "USD", "reference": "wire 17"}
    answer = api.post("/withdrawals", body, token=api.admin_token, key=new_key())
    assert (answer.status_code, answer.json()["status"], answer.json()["kind"]) == (201, "posted", "withdrawal")
    took = from_rfc3339(answer.json()["settled_at"]) - from_rfc3339(answer.json()["accepted_at"])
    assert took.total_seconds() < PATIENCE_SECONDS, "nobody waits for the owner of a reserve"
    assert api.balance_minor(payer) == 50_000_000
    problem(api.post("/withdrawals", body, token=api.admin_token, key=new_key()), 422, "insufficient_funds")


def test_staff_freeze_limit_close_and_reopen_an_account(api: Api) -> None:
    payer, payee = api.person("frida", funds_minor=100), api.person("fritz")
    frozen = put(api, payer.account_id, "status", {"status": "frozen", **REASON})
    assert (frozen.status_code, frozen.json()["status"]) == (200, "frozen")
    problem(api.pay(payer, payee, 1), 422, "account_frozen")
    listed = api.get("/accounts", payer.token).json()["accounts"][0]
    wait_until(
        "the owner to see it", lambda: api.get("/accounts", payer.token).json()["accounts"][0]["status"] == "frozen"
    )
    assert listed["account_id"] == payer.account_id
    problem(put(api, payer.account_id, "status", {"status": "closed", **REASON}), 422, "account_not_empty")
    assert put(api, payer.account_id, "status", {"status": "active", **REASON}).json()["status"] == "active"
    limited = put(api, payer.account_id, "limits", {"minimum_minor": -50, "maximum_minor": 120, **REASON})
    assert (limited.json()["minimum_minor"], limited.json()["maximum_minor"]) == (-50, 120)
    seen = api.get(f"/accounts/{payer.account_id}", payer.token).json()
    assert (seen["minimum_minor"], seen["maximum_minor"], seen["available_minor"]) == (-50, 120, 150)
    assert api.pay(payer, payee, 150).status_code == 201
    problem(put(api, payer.account_id, "limits", {"minimum_minor": 0, **REASON}), 422, "minimum_above_balance")
    closed = put(api, payee.account_id, "status", {"status": "suspended", **REASON})
    assert closed.json()["status"] == "suspended"
    problem(api.pay(payee, payer, 1), 422, "account_suspended")


def test_after_all_of_it_the_gateway_shows_what_the_ledger_decided(api: Api) -> None:
    def differences() -> list[str]:
        run = asyncio.run(reconcile(api.dsn, find_stack(api.folder, {}), grace_seconds=0))
        assert not any(outcome.skipped for outcome in run.outcomes)
        return [f"{outcome.name}: {found}" for outcome in run.outcomes for found in outcome.differences]

    wait_until("the projections to agree", lambda: differences() == [])
