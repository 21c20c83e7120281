"""A transfer that waits for people: what its parties see, what they cannot do, and what a click does."""

import pytest

from tests.e2e.api_client import Api, Person, new_key, problem, staff, wait_until
from tests.e2e.held_for_review import pay_held

QUEUE = "/admin/fraud/reviews"


@pytest.fixture(scope="module")
def first(api: Api) -> str:
    """Give the token of somebody in compliance."""
    return staff(api, "compliance")


@pytest.fixture(scope="module")
def second(api: Api) -> str:
    """Give the token of a colleague."""
    return staff(api, "compliance")


def status_of(api: Api, person: Person, transfer_id: str) -> str:
    return str(api.get(f"/transfers/{transfer_id}", person.token).json()["status"])


def available_minor(api: Api, person: Person) -> int:
    return int(api.get(f"/accounts/{person.account_id}", person.token).json()["available_minor"])


def test_a_held_transfer_is_nobodys_but_the_reviewers(api: Api, first: str) -> None:
    payer, payee = api.person("hella", funds_minor=1_000), api.person("hugo")
    transfer_id = pay_held(api, payer, payee, 600)
    for party in (payer, payee):
        seen = api.get(f"/transfers/{transfer_id}", party.token).json()
        assert (seen["status"], seen["reasons"], seen["resolver"], seen.get("code")) == (
            "held",
            ["review"],
            "fraud",
            None,
        )
    assert available_minor(api, payer) == 400
    for action in ("capture", "void"):
        mine = api.post(f"/transfers/{transfer_id}/{action}", {}, token=payer.token, key=new_key())
        problem(mine, 403, "held_by_review")
        operators = api.post(f"/transfers/{transfer_id}/{action}", {}, token=staff(api, "operator"), key=new_key())
        problem(operators, 403, "held_by_review")
    problem(api.get(f"{QUEUE}/{transfer_id}", payer.token), 403, "role_required")
    queue = api.get(f"{QUEUE}?payer_id={payer.user_id}", first).json()["reviews"]
    assert [(one["transfer_id"], one["usd_minor"], one["is_overdue"]) for one in queue] == [(transfer_id, 600, False)]

    done = api.post(f"{QUEUE}/{transfer_id}/approve", {"reason": "his rent"}, token=first)

    assert (done.status_code, done.json()["review_status"]) == (200, "approved")
    wait_until("the posting", lambda: status_of(api, payee, transfer_id) == "posted")
    assert (api.balance_minor(payer), api.balance_minor(payee)) == (400, 600)
    assert "rent" not in api.get(f"/transfers/{transfer_id}", payer.token).text


def test_what_is_rejected_comes_back_and_nobody_is_told_why(api: Api, first: str) -> None:
    payer, payee = api.person("reni", funds_minor=1_000), api.person("rolf")
    transfer_id = pay_held(api, payer, payee, 600)
    problem(api.post(f"{QUEUE}/{transfer_id}/reject", {}, token=first), 422, "invalid_request")
    done = api.post(f"{QUEUE}/{transfer_id}/reject", {"reason": "known mule"}, token=first)
    assert done.json()["code"] == "transfer_not_permitted"
    wait_until("the end", lambda: status_of(api, payer, transfer_id) == "voided")
    assert available_minor(api, payer) == 1_000
    for party in (payer, payee):
        seen = api.get(f"/transfers/{transfer_id}", party.token)
        assert seen.json()["code"] == "transfer_not_permitted"
        assert "mule" not in seen.text
    problem(api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=first), 409, "review_not_open")


def test_a_large_one_takes_two_people(api: Api, first: str, second: str) -> None:
    payer, payee = api.business("paula", funds_minor=20_000_000), api.person("pit")
    transfer_id = pay_held(api, payer, payee, 10_000_001)
    claim = f"/api/v1{QUEUE}/{transfer_id}/claim"
    assert api.http.put(claim, headers={"Authorization": f"Bearer {first}"}).status_code == 204
    problem(api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=second), 409, "review_claimed")
    once = api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=first)
    assert (once.json()["review_status"], once.json()["remaining"]) == ("open", ["review"])
    problem(api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=first), 409, "second_person_required")
    assert status_of(api, payer, transfer_id) == "held"
    assert api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=second).json()["review_status"] == "approved"
    wait_until("the posting", lambda: status_of(api, payee, transfer_id) == "posted")


@pytest.mark.parametrize("kyc_first", [True, False], ids=["kyc first", "review first"])
def test_what_waits_for_both_goes_on_after_both(api: Api, first: str, *, kyc_first: bool) -> None:
    payer, payee = api.person("bodo", funds_minor=1_000), api.person("britta", verified=False)
    transfer_id = pay_held(api, payer, payee, 600, ("review", "kyc_pending"))

    def approve() -> None:
        assert api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=first).status_code == 200

    def verify() -> None:
        api.verify(payee)

    one, other, left = (verify, approve, "review") if kyc_first else (approve, verify, "kyc_pending")
    one()
    wait_until("one reason", lambda: api.get(f"/transfers/{transfer_id}", payer.token).json()["reasons"] == [left])
    assert status_of(api, payer, transfer_id) == "held"
    other()
    wait_until("the posting", lambda: status_of(api, payee, transfer_id) == "posted")


def test_a_first_approval_ends_with_the_role_of_whoever_gave_it(api: Api, second: str) -> None:
    payer, payee = api.business("petra", funds_minor=20_000_000), api.person("paco")
    risky = api.person("risky", verified=False)
    api.apply(risky)
    flag = {"high_risk": True, "reason": "lives where few report"}
    path, header = f"/api/v1/admin/kyc/{risky.user_id}/risk", {"Authorization": f"Bearer {second}"}
    assert api.http.put(path, json=flag, headers=header).status_code == 204
    transfer_id = pay_held(api, payer, payee, 10_000_001)
    leaving = staff(api, "compliance")
    roles = f"/api/v1/admin/users/{api.get('/me', leaving).json()['user_id']}/roles"
    assert api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=leaving).status_code == 200
    noted = api.post(f"/admin/kyc/{risky.user_id}/approve", {"version": 1}, token=leaving)
    assert noted.status_code == 202

    admin = {"Authorization": f"Bearer {api.admin_token}"}
    assert api.http.put(roles, json={"roles": ["customer"]}, headers=admin).status_code == 200

    def approvals_left() -> list[object]:
        review = api.get(f"{QUEUE}/{transfer_id}", second).json()["review"]
        applicant = api.get(f"/admin/kyc/{risky.user_id}?reason=review", second).json()
        return [one for one in (review["first_approved_by"], *applicant["approvals"]) if one]

    wait_until("the news of the role", lambda: approvals_left() == [])
    once = api.post(f"{QUEUE}/{transfer_id}/approve", {}, token=second)
    assert once.json()["review_status"] == "open"
    noted = api.post(f"/admin/kyc/{risky.user_id}/approve", {"version": 1}, token=second)
    assert (noted.status_code, noted.json()["status"]) == (202, "in_review")


def test_many_at_once(api: Api, first: str) -> None:
    payer, payee = api.person("mona", funds_minor=1_000), api.person("max")
    ids = [pay_held(api, payer, payee, amount_minor) for amount_minor in (1, 2)]
    many, key = "/admin/fraud/bulk-reviews/approve", new_key()
    problem(api.post(many, {"transfer_ids": ids}, token=first), 400, "idempotency_key_missing")
    answer = api.post(many, {"transfer_ids": ids}, token=first, key=key)
    assert [one["done"]["review_status"] for one in answer.json()["results"]] == ["approved", "approved"]
    again = api.post(many, {"transfer_ids": ids}, token=first, key=key)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (answer.json(), "true")
    wait_until("both postings", lambda: {status_of(api, payee, one) for one in ids} == {"posted"})
