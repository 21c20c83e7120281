"""Who may decide on a held transfer, how urgent it is, and when it takes two."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import Conflict, Forbidden
from services.fraud.domain.reviews import (
    CLAIM_LASTS,
    TWO_PEOPLE_ABOVE_MINOR,
    Review,
    ReviewStatus,
    is_last_approval,
    priority_of,
    require_reviewer,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = Review("transfer", "open", ["payer", "payee", "caller"], TWO_PEOPLE_ABOVE_MINOR, None, None, None)
LARGE = replace(SMALL, usd_minor=TWO_PEOPLE_ABOVE_MINOR + 1)


@pytest.mark.parametrize("party", SMALL.parties)
def test_nobody_reviews_what_he_takes_part_in_even_when_it_is_over(party: str) -> None:
    statuses: Sequence[ReviewStatus] = ("open", "approved")
    for status in statuses:
        with pytest.raises(Forbidden) as refusal:
            require_reviewer(replace(SMALL, status=status), party, NOW)
        assert refusal.value.code == "own_transfer"


def test_what_is_over_stays_over() -> None:
    with pytest.raises(Conflict) as refusal:
        require_reviewer(replace(SMALL, status="expired"), "anna", NOW)
    assert (refusal.value.code, refusal.value.facts) == ("review_not_open", {"review_status": "expired"})


def test_a_claim_keeps_others_out_until_its_end_and_lets_its_holder_in() -> None:
    claimed = replace(SMALL, claimed_by="anna", claimed_until=NOW + CLAIM_LASTS)
    require_reviewer(SMALL, "ben", NOW)
    require_reviewer(claimed, "anna", NOW)
    with pytest.raises(Conflict) as refusal:
        require_reviewer(claimed, "ben", NOW + CLAIM_LASTS - timedelta(microseconds=1))
    assert refusal.value.code == "review_claimed"
    assert refusal.value.facts == {"claimed_by": "anna", "claimed_until": "2026-03-01T12:15:00+00:00"}
    require_reviewer(claimed, "ben", NOW + CLAIM_LASTS)


def test_at_the_bound_one_person_is_enough_and_one_cent_above_it_takes_two() -> None:
    assert is_last_approval(SMALL, "anna") is True
    assert is_last_approval(LARGE, "anna") is False
    assert is_last_approval(replace(LARGE, first_approved_by="anna"), "ben") is True
    assert (priority_of(SMALL.usd_minor), priority_of(LARGE.usd_minor)) == ("normal", "high")


def test_nobody_is_two_people() -> None:
    with pytest.raises(Conflict) as refusal:
        is_last_approval(replace(LARGE, first_approved_by="anna"), "anna")
    assert refusal.value.code == "second_person_required"
