"""Who may decide on an application, and when it takes two."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import Conflict, Forbidden
from services.kyc.domain.queued_review import QueuedReview
from services.kyc.domain.review import (
    LEASE,
    REVIEW_WITHIN,
    STANDARD_RISK,
    Approval,
    Claim,
    Risk,
    holder_of,
    is_approved,
    require_free,
)
from services.kyc.domain.verification import Status

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HIGH = Risk(is_high=True, set_by="compliance")
ANNA, BEN = Approval("anna", 1), Approval("ben", 1)


def test_a_claim_keeps_others_out_and_lets_its_holder_in() -> None:
    claim = Claim("anna", NOW + LEASE)
    require_free(claim, "anna", NOW)
    require_free(None, "ben", NOW)
    with pytest.raises(Conflict) as refusal:
        require_free(claim, "ben", NOW)
    assert (refusal.value.code, refusal.value.facts) == ("claimed_by_another", {"retry_after_seconds": 1800})


def test_a_claim_is_over_at_its_end() -> None:
    claim = Claim("anna", NOW + LEASE)
    assert holder_of(claim, NOW + LEASE - timedelta(microseconds=1)) == claim
    assert holder_of(claim, NOW + LEASE) is None
    require_free(claim, "ben", NOW + LEASE)


def test_one_approval_is_enough_where_nobody_is_flagged() -> None:
    assert is_approved(STANDARD_RISK, [], ANNA) is True


def test_of_high_risk_two_people_approve_the_same_tier() -> None:
    assert is_approved(HIGH, [], ANNA) is False
    assert is_approved(HIGH, [ANNA], BEN) is True
    assert is_approved(HIGH, [Approval("anna", 2)], BEN) is False


def test_nobody_is_two_people() -> None:
    with pytest.raises(Forbidden) as refusal:
        is_approved(HIGH, [ANNA], ANNA)
    assert refusal.value.code == "second_person_needed"
    assert is_approved(HIGH, [ANNA], Approval("anna", 2)) is False


def test_who_took_the_flag_away_does_not_approve_alone() -> None:
    with pytest.raises(Forbidden) as refusal:
        is_approved(Risk(is_high=False, set_by="anna"), [], ANNA)
    assert refusal.value.code == "second_person_needed"
    assert is_approved(Risk(is_high=False, set_by="anna"), [], BEN) is True


def queued(status: Status, waited: timedelta) -> QueuedReview:
    return QueuedReview(
        user_id="u",
        status=status,
        tier=0,
        requested_tier=0,
        version=1,
        changed_at=NOW - waited,
        high_risk=False,
        claim=None,
        position=1,
    )


def test_an_application_is_overdue_after_a_day() -> None:
    assert queued("in_review", REVIEW_WITHIN).is_overdue(NOW) is False
    for waiting in ("in_review", "tier_in_review"):
        late = queued(waiting, REVIEW_WITHIN + timedelta(seconds=1))
        assert (late.is_overdue(NOW), late.waited(NOW)) == (True, timedelta(days=1, seconds=1))


def test_what_waits_for_the_customer_or_for_nobody_is_never_overdue() -> None:
    for status in ("needs_info", "approved", "tier_needs_info", "suspended", "rejected"):
        assert queued(status, timedelta(days=9)).waited(NOW) == timedelta()
    assert queued("in_review", timedelta(seconds=-1)).waited(NOW) == timedelta()
