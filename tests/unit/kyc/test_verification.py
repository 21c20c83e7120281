"""Every state against every action: the moves of the table, all others refused with what is legal."""

from itertools import product
from typing import get_args

import pytest

from libs.common.errors import Conflict
from services.kyc.domain.rejection import RejectionCode, told_code
from services.kyc.domain.verification import (
    NEVER_APPLIED,
    PHASES,
    TRANSITIONS,
    WAITING,
    Action,
    CustomerAction,
    StaffAction,
    State,
    Status,
    ToldStatus,
    can_retry,
    legal_actions,
    move,
    next_action,
    require_in_review,
    told_status,
)

STATUSES: tuple[Status, ...] = get_args(Status)
ACTIONS: tuple[Action, ...] = (*get_args(CustomerAction), *get_args(StaffAction))
ALLOWED: dict[tuple[Status, Action], Status] = {
    ("none", "apply"): "in_review",
    ("in_review", "approve"): "approved",
    ("in_review", "reject"): "rejected",
    ("in_review", "ask"): "needs_info",
    ("needs_info", "apply"): "in_review",
    ("needs_info", "provide"): "in_review",
    ("needs_info", "reject"): "rejected",
    ("approved", "approve"): "approved",
    ("approved", "reject"): "rejected",
    ("approved", "suspend"): "suspended",
    ("approved", "request"): "tier_in_review",
    ("approved", "prepare"): "tier_needs_info",
    ("tier_needs_info", "provide"): "tier_in_review",
    ("tier_needs_info", "withdraw"): "approved",
    ("tier_needs_info", "decline"): "approved",
    ("tier_needs_info", "suspend"): "suspended",
    ("tier_in_review", "approve"): "approved",
    ("tier_in_review", "decline"): "approved",
    ("tier_in_review", "ask"): "tier_needs_info",
    ("tier_in_review", "withdraw"): "approved",
    ("tier_in_review", "suspend"): "suspended",
    ("suspended", "resume"): "approved",
    ("suspended", "reject"): "rejected",
    ("rejected", "apply"): "in_review",
}
CODES: dict[Action, str] = {
    "apply": "application_exists",
    "provide": "information_not_asked",
    "request": "tier_not_requestable",
    "prepare": "tier_not_requestable",
    "withdraw": "tier_not_requestable",
    "approve": "not_in_review",
    "reject": "not_in_review",
    "decline": "not_in_review",
    "ask": "not_in_review",
    "suspend": "not_in_review",
    "resume": "not_in_review",
}
LEGAL: dict[Status, tuple[list[Action], list[Action]]] = {
    "none": (["apply"], []),
    "in_review": ([], ["approve", "reject", "ask"]),
    "needs_info": (["apply", "provide"], ["reject"]),
    "approved": (["request", "prepare"], ["approve", "reject", "suspend"]),
    "tier_in_review": (["withdraw"], ["approve", "decline", "ask", "suspend"]),
    "tier_needs_info": (["provide", "withdraw"], ["decline", "suspend"]),
    "suspended": ([], ["resume", "reject"]),
    "rejected": (["apply"], []),
}
"""status → what the customer may do, and what staff may."""
REFUSED = [pair for pair in product(STATUSES, ACTIONS) if pair not in ALLOWED]


WORTH: dict[Status, tuple[int, int, int]] = {
    "approved": (2, 0, 0),
    "tier_in_review": (2, 0, 3),
    "tier_needs_info": (2, 0, 3),
    "suspended": (0, 2, 0),
}
"""status → the tier that somebody in it has, the one that is kept for him, and the one he has asked for."""


def in_state(status: Status, *, may_retry: bool = True) -> State:
    tier, kept, requested = WORTH.get(status, (0, 0, 0))
    return State(status=status, tier=tier, version=4, kept_tier=kept, may_retry=may_retry, requested_tier=requested)


def test_the_table_is_what_was_agreed() -> None:
    assert dict(TRANSITIONS) == ALLOWED
    assert len(REFUSED) == len(STATUSES) * len(ACTIONS) - len(ALLOWED)


@pytest.mark.parametrize(("pair", "target"), ALLOWED.items())
def test_an_allowed_move_goes_one_version_further(pair: tuple[Status, Action], target: Status) -> None:
    status, action = pair
    tier, kept, requested = WORTH.get(target, (0, 0, 0))
    after = move(in_state(status), action, tier=1 if pair == ("approved", "approve") else 3)
    if action == "approve":
        tier = 1 if status == "approved" else 3
    assert after == State(status=target, tier=tier, version=5, kept_tier=kept, requested_tier=requested)


@pytest.mark.parametrize("pair", REFUSED)
def test_any_other_move_is_refused_with_what_is_legal(pair: tuple[Status, Action]) -> None:
    status, action = pair
    with pytest.raises(Conflict) as refusal:
        move(in_state(status), action)
    legal = LEGAL[status][action in get_args(StaffAction)]
    assert refusal.value.code == CODES[action]
    told = status if action in get_args(StaffAction) else told_status(status)
    assert refusal.value.facts == {"verification_status": told, "legal_actions": legal}


@pytest.mark.parametrize(("action", "tier"), [("request", 2), ("prepare", 1), ("approve", 2), ("approve", 1)])
def test_a_request_never_lowers_what_somebody_has(action: Action, tier: int) -> None:
    status: Status = "tier_in_review" if action == "approve" else "approved"
    with pytest.raises(Conflict) as refusal:
        move(in_state(status), action, tier=tier)
    assert refusal.value.code == CODES[action]


def test_a_request_is_approved_to_any_higher_tier() -> None:
    asked = move(State(status="approved", tier=1, version=2), "request", tier=3)
    assert asked == State(status="tier_in_review", tier=1, version=3, requested_tier=3)
    assert [move(asked, "approve", tier=tier).tier for tier in (2, 3)] == [2, 3]


def test_what_a_suspended_customer_had_asked_for_is_forgotten() -> None:
    asked = move(State(status="approved", tier=1, version=2), "prepare", tier=2)
    resumed = move(move(asked, "suspend"), "resume")
    assert resumed == State(status="approved", tier=1, version=5)


def test_others_are_told_that_who_asks_for_a_tier_is_approved() -> None:
    assert {status for status in STATUSES if told_status(status) == "approved"} == {
        "approved",
        "tier_in_review",
        "tier_needs_info",
    }
    assert all(told_status(status) == status for status in get_args(ToldStatus))


def test_the_same_tier_is_not_given_twice() -> None:
    with pytest.raises(Conflict) as refusal:
        move(in_state("approved"), "approve", tier=2)
    assert refusal.value.code == "not_in_review"
    assert [move(in_state("approved"), "approve", tier=tier).tier for tier in (1, 3)] == [1, 3]


@pytest.mark.parametrize("action", ACTIONS)
def test_after_a_final_rejection_nothing_is_legal(action: Action) -> None:
    rejected = move(in_state("in_review"), "reject", may_retry=False)
    assert (can_retry(rejected), next_action(rejected)) == (False, "nothing")
    with pytest.raises(Conflict) as refusal:
        move(rejected, action)
    assert refusal.value.code == ("retry_not_allowed" if action == "apply" else CODES[action])
    assert refusal.value.facts["legal_actions"] == []


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in WAITING])
def test_what_waits_for_no_reviewer_is_not_claimed(status: Status) -> None:
    for waiting in ("in_review", "tier_in_review"):
        require_in_review(in_state(waiting))
    with pytest.raises(Conflict) as refusal:
        require_in_review(in_state(status))
    assert refusal.value.facts == {"verification_status": status, "legal_actions": LEGAL[status][True]}


def test_who_never_applied_starts_at_version_one() -> None:
    assert move(NEVER_APPLIED, "apply").version == 1


def test_only_an_approved_verification_is_worth_a_tier() -> None:
    for (status, action), target in ALLOWED.items():
        tier = 1 if (status, action) == ("approved", "approve") else 3
        assert (move(in_state(status), action, tier=tier).tier > 0) == (told_status(target) == "approved")


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_says_what_is_legal(status: Status) -> None:
    legal = [legal_actions(in_state(status), of_staff=of_staff) for of_staff in (False, True)]
    assert legal == list(LEGAL[status])


def test_every_status_has_a_phase_of_its_own_and_says_what_to_do_next() -> None:
    assert len(set(PHASES.values())) == len(STATUSES)
    assert {status: next_action(in_state(status)) for status in STATUSES} == {
        "none": "apply",
        "in_review": "wait",
        "needs_info": "provide",
        "approved": "nothing",
        "tier_in_review": "wait",
        "tier_needs_info": "provide",
        "suspended": "wait",
        "rejected": "apply",
    }
    assert [status for status in STATUSES if can_retry(in_state(status))] == ["rejected"]


def test_nobody_is_told_that_he_is_suspected() -> None:
    untold = [code for code in get_args(RejectionCode) if told_code(code) != code]
    assert untold == ["duplicate", "forged", "suspicion", "other"]
    assert [told_code(code) for code in untold] == [""] * 4
