"""What the word about a payee does to the money that waits for him: it goes on, or back, or to its caller."""

from typing import Any

import pytest

from tests.e2e.api_client import Api, Person, new_key, staff, transfer, wait_until

AMOUNT_MINOR = 600


def pay_unverified(api: Api, payer: Person, payee: Person, **changes: Any) -> str:
    """Send money to somebody who has applied; return the id of the transfer that waits for him."""
    api.apply(payee)
    answer = api.post("/transfers", transfer(payer, payee, AMOUNT_MINOR, **changes), token=payer.token, key=new_key())
    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["reasons"]) == (202, "held", ["kyc_pending"]), answer.text
    return str(shown["transfer_id"])


def shown_to(api: Api, person: Person, transfer_id: str) -> dict[str, Any]:
    document: dict[str, Any] = api.get(f"/transfers/{transfer_id}", person.token).json()
    return document


def status_of(api: Api, person: Person, transfer_id: str) -> str:
    return str(shown_to(api, person, transfer_id)["status"])


def money_of(api: Api, person: Person) -> tuple[int, int]:
    """Return what he has and what he may spend of it."""
    account = api.get(f"/accounts/{person.account_id}", person.token).json()
    return account["posted_minor"], account["available_minor"]


def used_today(api: Api, person: Person) -> tuple[int, int]:
    """Return what his limits count of the last 24 hours: US cents and transfers."""
    limits = {one["limit"]: one for one in api.get("/limits", person.token).json()["limits"]}
    return limits["daily_amount"]["used_minor"], limits["daily_count"]["used_count"]


def test_a_rejection_gives_back_the_money_and_what_it_used_of_the_limits(api: Api) -> None:
    payer, payee = api.person("pia", funds_minor=1_000), api.person("peer", verified=False)
    transfer_id = pay_unverified(api, payer, payee)
    assert money_of(api, payer) == (1_000, 400)
    assert used_today(api, payer) == (AMOUNT_MINOR, 1)

    api.decide_kyc(payee, "reject", code="document_mismatch")

    wait_until("the end", lambda: status_of(api, payee, transfer_id) == "voided")
    for party in (payer, payee):
        assert shown_to(api, party, transfer_id)["code"] == "payee_kyc_rejected"
    assert money_of(api, payer) == (1_000, 1_000)
    assert money_of(api, payee) == (0, 0)
    assert used_today(api, payer) == (0, 0)


@pytest.mark.parametrize("whose", ["payer", "payee"])
def test_whoever_is_frozen_while_it_waits_is_neither_paid_nor_pays(api: Api, whose: str) -> None:
    payer, payee = api.person("fips", funds_minor=1_000), api.person("fritzi", verified=False)
    other = api.person("franka", verified=False)
    held, free = pay_unverified(api, payer, payee), ""
    if whose == "payee":
        free = str(api.pay(payer, other, 100).json()["transfer_id"])
    frozen = payer if whose == "payer" else payee
    wanted = {"list": "freeze", "subject": "customer", "value": frozen.user_id, "reason": "his phone was stolen"}
    assert api.post("/admin/fraud/lists", wanted, token=staff(api, "compliance")).status_code == 201

    api.decide_kyc(payee, "approve")

    wait_until("the end", lambda: status_of(api, payer, held) == "voided")
    for party in (payer, payee):
        assert shown_to(api, party, held)["code"] == "transfer_not_permitted"
        assert "phone" not in str(shown_to(api, party, held))
    assert api.balance_minor(payee) == 0
    if free:
        # Another's transfer is no concern of the list.
        api.verify(other)
        wait_until("the posting", lambda: status_of(api, other, free) == "posted")
        assert money_of(api, payer) == (900, 900)
    else:
        assert money_of(api, payer) == (1_000, 1_000)
    assert used_today(api, payer) == ((100, 1) if free else (0, 0))


@pytest.mark.parametrize("end", ["capture", "void"])
def test_a_hold_asked_for_by_its_caller_is_his_once_the_payee_is_verified(api: Api, end: str) -> None:
    payer, payee = api.person("hedi", funds_minor=1_000), api.person("horst", verified=False)
    transfer_id = pay_unverified(api, payer, payee, hold=True, expires_in_seconds=3_600)
    api.decide_kyc(payee, "approve")
    wait_until("the handing over", lambda: shown_to(api, payer, transfer_id)["resolver"] == "caller")
    assert status_of(api, payee, transfer_id) == "held"
    # Fraud has done its part: nothing is sent to the ledger again and again until the payer has made up his mind.
    mine = f"transfer_id = '{transfer_id}'"
    wait_until("fraud to know", lambda: api.count("fraud.holds", f"{mine} AND settled_at IS NOT NULL") == 1)
    assert used_today(api, payer) == (AMOUNT_MINOR, 1)

    done = api.post(f"/transfers/{transfer_id}/{end}", {}, token=payer.token, key=new_key())

    assert done.status_code == 200, done.text
    if end == "capture":
        assert money_of(api, payer) == (400, 400)
        assert money_of(api, payee) == (AMOUNT_MINOR, AMOUNT_MINOR)
        assert used_today(api, payer) == (AMOUNT_MINOR, 1)
    else:
        assert money_of(api, payer) == (1_000, 1_000)
        wait_until("the slot", lambda: used_today(api, payer) == (0, 0))
