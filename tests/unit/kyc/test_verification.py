"""Every state against every action: five moves, all others refused."""

from itertools import product
from typing import get_args

import pytest

from libs.common.errors import Conflict
from services.kyc.domain.verification import (
    NEVER_APPLIED,
    NEXT_ACTIONS,
    TRANSITIONS,
    Action,
    State,
    Status,
    can_retry,
    move,
)

STATUSES: tuple[Status, ...] = get_args(Status)
ACTIONS: tuple[Action, ...] = get_args(Action)
ALLOWED: dict[tuple[Status, Action], tuple[Status, int]] = {
    ("none", "apply"): ("in_review", 0),
    ("in_review", "approve"): ("approved", 1),
    ("in_review", "reject"): ("rejected", 0),
    ("rejected", "apply"): ("in_review", 0),
    ("approved", "reject"): ("rejected", 0),
}
REFUSED: dict[tuple[Status, Action], str] = {
    ("in_review", "apply"): "application_exists",
    ("approved", "apply"): "application_exists",
    ("none", "approve"): "not_in_review",
    ("approved", "approve"): "not_in_review",
    ("rejected", "approve"): "not_in_review",
    ("none", "reject"): "not_in_review",
    ("rejected", "reject"): "not_in_review",
}


def test_the_two_lists_below_leave_no_pair_out() -> None:
    assert ALLOWED.keys() | REFUSED.keys() == set(product(STATUSES, ACTIONS))
    assert dict(TRANSITIONS) == ALLOWED


@pytest.mark.parametrize(("pair", "target"), ALLOWED.items())
def test_an_allowed_move_goes_one_version_further(pair: tuple[Status, Action], target: tuple[Status, int]) -> None:
    status, action = pair
    assert move(State(status=status, tier=0, version=4), action) == State(status=target[0], tier=target[1], version=5)


@pytest.mark.parametrize(("pair", "code"), REFUSED.items())
def test_any_other_move_is_refused(pair: tuple[Status, Action], code: str) -> None:
    status, action = pair
    with pytest.raises(Conflict) as refusal:
        move(State(status=status, tier=0, version=4), action)
    assert refusal.value.code == code
    assert refusal.value.facts == {"verification_status": status}


def test_who_never_applied_starts_at_version_one() -> None:
    assert move(NEVER_APPLIED, "apply").version == 1


def test_only_an_approved_verification_is_worth_a_tier() -> None:
    assert {status for status, tier in TRANSITIONS.values() if tier > 0} == {"approved"}


def test_every_status_says_what_to_do_next() -> None:
    assert NEXT_ACTIONS == {"none": "apply", "in_review": "wait", "approved": "nothing", "rejected": "apply"}
    assert [status for status in STATUSES if can_retry(status)] == ["rejected"]
