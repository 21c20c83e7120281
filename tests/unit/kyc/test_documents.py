"""How many documents there may be, and when one may be taken back."""

import pytest

from libs.common.errors import Conflict
from libs.common.http.large_bodies import MAX_DOCUMENT_BODY_BYTES
from services.kyc.domain.documents import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_REFUSALS,
    DOCUMENTS_MAX,
    ENDINGS,
    MEDIA_TYPES,
    free_place,
    refusal_of,
    require_removable,
)
from services.kyc.domain.verification import NEVER_APPLIED, State, Status


def test_the_first_place_that_is_free_is_taken_until_none_is() -> None:
    assert free_place(set()) == 1
    assert free_place({1, 2, 4}) == 3
    with pytest.raises(Conflict) as refusal:
        free_place(range(1, DOCUMENTS_MAX + 1))
    assert (refusal.value.code, refusal.value.facts) == ("too_many_documents", {"count_max": 10})


@pytest.mark.parametrize(
    ("status", "tier", "kept_tier"),
    [("in_review", 0, 0), ("in_review", 1, 0), ("approved", 2, 0), ("approved", 3, 0), ("suspended", 0, 2)],
)
def test_what_somebody_decides_by_or_has_decided_by_stays(status: Status, tier: int, kept_tier: int) -> None:
    with pytest.raises(Conflict) as refusal:
        require_removable(State(status=status, tier=tier, version=3, kept_tier=kept_tier))
    assert (refusal.value.code, refusal.value.facts) == ("document_in_use", {"verification_status": status})


@pytest.mark.parametrize(
    ("status", "tier", "kept_tier"),
    [("needs_info", 0, 0), ("rejected", 0, 0), ("approved", 1, 0), ("suspended", 0, 1)],
)
def test_what_nobody_decided_by_may_go(status: Status, tier: int, kept_tier: int) -> None:
    require_removable(State(status=status, tier=tier, version=3, kept_tier=kept_tier))
    require_removable(NEVER_APPLIED)


def test_every_type_has_an_ending_and_every_refusal_a_sentence() -> None:
    assert ENDINGS.keys() == MEDIA_TYPES
    for code, sentence in DOCUMENT_REFUSALS.items():
        assert (refusal_of(code).code, refusal_of(code).detail) == (code, sentence)


def test_the_gateway_lets_through_what_kyc_takes() -> None:
    assert MAX_DOCUMENT_BODY_BYTES == DOCUMENT_BYTES_MAX
