"""What has to be there before a tier is given, or an answer taken."""

from typing import get_args

import pytest

from libs.common.errors import Conflict
from services.kyc.domain.decision import (
    DOCUMENTS_OF_TIER,
    Decision,
    Dossier,
    Need,
    missing_for,
    require_askable,
    require_documents,
    require_provided,
    require_unchanged,
)
from services.kyc.domain.documents import DocumentKind
from services.kyc.domain.verification import NEVER_APPLIED, State

IDENTITY = {"identity_front", "identity_back", "tax_number"}
ALL = IDENTITY | {"proof_of_address"}


@pytest.mark.parametrize(("tier", "given"), [(1, set[str]()), (2, IDENTITY), (2, ALL), (3, ALL)])
def test_a_tier_is_given_where_its_documents_are_there(tier: int, given: set[str]) -> None:
    require_documents(tier, given)
    assert missing_for(tier, given) == []


@pytest.mark.parametrize("tier", [2, 3])
def test_each_document_of_a_tier_is_needed(tier: int) -> None:
    for kind in DOCUMENTS_OF_TIER[tier]:
        with pytest.raises(Conflict) as refusal:
            require_documents(tier, ALL - {kind})
        assert (refusal.value.code, refusal.value.facts) == ("documents_missing", {"missing": [kind]})


def test_a_higher_tier_needs_all_that_a_lower_one_does() -> None:
    assert (
        set(DOCUMENTS_OF_TIER[1]) < set(DOCUMENTS_OF_TIER[2]) < set(DOCUMENTS_OF_TIER[3]) == set(get_args(DocumentKind))
    )


def test_every_kind_of_document_can_be_asked_for() -> None:
    assert set(get_args(Need)) == {"application", *get_args(DocumentKind)}


def test_who_was_asked_gives_all_of_it() -> None:
    require_provided(("application", "tax_number"), {"application", "tax_number", "identity_back"})
    with pytest.raises(Conflict) as refusal:
        require_provided(("application", "tax_number"), {"tax_number"})
    assert (refusal.value.code, refusal.value.facts) == ("information_incomplete", {"missing": ["application"]})


def test_for_a_tier_documents_alone_are_asked_for() -> None:
    correction: list[Need] = ["application"]
    require_askable(State(status="in_review", tier=0, version=1), correction)
    asked = State(status="tier_in_review", tier=1, version=3, requested_tier=2)
    require_askable(asked, ("tax_number", "identity_back"))
    with pytest.raises(Conflict) as refusal:
        require_askable(asked, ("tax_number", "application"))
    assert (refusal.value.code, refusal.value.facts) == (
        "not_in_review",
        {"verification_status": "tier_in_review", "legal_actions": ["approve", "decline", "ask", "suspend"]},
    )


def test_an_approval_that_names_no_tier_gives_what_was_asked_for() -> None:
    asked = State(status="tier_in_review", tier=1, version=3, requested_tier=3)
    assert [Decision("approve", tier=tier).tier_for(asked) for tier in (None, 2)] == [3, 2]


@pytest.mark.parametrize(("named", "has", "given"), [(None, 0, 1), (None, 2, 2), (3, 2, 3), (1, 0, 1)])
def test_an_approval_that_names_no_tier_gives_the_first_and_changes_none(
    named: int | None, has: int, given: int
) -> None:
    state = State(status="approved", tier=has, version=2) if has else NEVER_APPLIED
    assert Decision("approve", tier=named).tier_for(state) == given


@pytest.mark.parametrize("seen", [Dossier(2, 1), Dossier(3, 0), Dossier(4, 1), Dossier(3, 2)], ids=str)
def test_a_decision_is_on_what_there_is(seen: Dossier) -> None:
    state, present = State(status="in_review", tier=0, version=3), Dossier(version=3, documents_version=1)
    for fits in (present, None):
        require_unchanged(fits, present, state)
    with pytest.raises(Conflict) as refusal:
        require_unchanged(seen, present, state)
    assert (refusal.value.code, refusal.value.facts) == (
        "application_changed",
        {"version": 3, "documents_version": 1, "verification_status": "in_review"},
    )
