"""When a rule set goes live by one person, when by two, and what an approval is for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.fraud.domain.rules import RulesetDocument
from services.fraud.domain.ruleset_life import Risk, StoredRuleset
from services.fraud.domain.ruleset_publications import ROLLBACK_FOR, Publication, change_of, publish
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.use_cases.publish_shipped_rules import shipped_rules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHIPPED = read_ruleset(shipped_rules())
DRAFT = StoredRuleset(
    version=7,
    name="tried",
    status="draft",
    risk="high",
    reason="tried",
    author="ann",
    created_at=NOW,
    approved_by=None,
    approved_at=None,
    sha256=b"",
    document="",
    approval_id=None,
    approval_stands=False,
)
APPROVED = replace(DRAFT, approved_by="ben", approved_at=NOW, approval_id="approval", approval_stands=True)
USED = replace(APPROVED, status="retired", approval_stands=False)
FIRST = Publication(1, 5, None, "approval", 5, "first", "ben", "ann", NOW)
LAST = Publication(2, 6, 5, "approval", 6, "second", "ben", "ann", NOW)


def with_rules(document: RulesetDocument, **points: int) -> RulesetDocument:
    """Give the set with rules added that score so many points."""
    added = tuple(msgspec.structs.replace(document.rules[0], id=name, points=many) for name, many in points.items())
    return msgspec.structs.replace(document, rules=(*document.rules, *added))


def published(ruleset: StoredRuleset, *, change: Risk, by: str = "ann", at: datetime = NOW) -> Publication | None:
    return publish(ruleset, change=change, live_version=6, newest_two=[LAST, FIRST], by=by, at=at)


def test_small_steps_are_measured_against_what_two_people_agreed_on_as_well() -> None:
    once = with_rules(SHIPPED, more=SHIPPED.block_from // 2)
    twice = with_rules(once, most=SHIPPED.block_from // 2)
    assert change_of(once, SHIPPED, SHIPPED) == "low"
    assert change_of(twice, once, once) == "low", "beside the step before alone it is as small"
    assert change_of(twice, once, SHIPPED) == "high"


def test_what_equals_the_live_set_or_the_one_agreed_on_changes_nothing_unseen() -> None:
    more = with_rules(SHIPPED, more=10)
    assert change_of(SHIPPED, more, SHIPPED) == "low"
    assert change_of(SHIPPED, SHIPPED, more) == "low"
    renamed = msgspec.structs.replace(SHIPPED, name="renamed")
    assert change_of(renamed, more, SHIPPED) == "low"
    assert change_of(msgspec.structs.replace(SHIPPED, review_from=SHIPPED.review_from + 1), more, SHIPPED) == "high"


@pytest.mark.parametrize(
    ("live", "agreed"), [(None, SHIPPED), (SHIPPED, None), (None, None)], ids=["live", "agreed", "both"]
)
def test_beside_what_cannot_be_read_everything_else_takes_two_people(
    live: RulesetDocument | None, agreed: RulesetDocument | None
) -> None:
    assert change_of(with_rules(SHIPPED, more=10), live, agreed) == "high"


def test_an_approval_that_stands_is_used_by_somebody_else_than_who_gave_it() -> None:
    assert published(APPROVED, change="high", by="ben") is None
    assert published(APPROVED, change="high") == Publication(3, 7, 6, "approval", 7, "approval", "ben", "ann", NOW)


def test_what_was_approved_once_is_not_approved_for_ever() -> None:
    long_ago = NOW + timedelta(days=400)
    assert published(USED, change="high", at=long_ago) is None
    assert published(USED, change="low", at=long_ago) == Publication(
        3, 7, 6, "small_change", 6, None, None, "ann", long_ago
    )


def test_what_was_of_high_risk_when_it_was_written_is_approved_once_at_least() -> None:
    assert published(DRAFT, change="low") is None
    small = published(replace(DRAFT, risk="low"), change="low")
    assert small is not None
    assert (small.basis, small.agreed_on) == ("small_change", LAST.agreed_on)


def test_one_person_undoes_the_last_publication_for_a_day() -> None:
    previous = replace(USED, version=5)
    undone = published(previous, change="high", at=NOW + ROLLBACK_FOR - timedelta(microseconds=1))
    assert undone is not None
    assert (undone.basis, undone.agreed_on, undone.approval_id) == ("rollback", FIRST.agreed_on, None)
    assert published(previous, change="high", at=NOW + ROLLBACK_FOR) is None
    assert published(USED, change="high") is None, "only what it replaced"


def test_a_rollback_is_not_undone_by_one_person() -> None:
    undone = Publication(3, 5, 6, "rollback", 5, None, None, "ann", NOW)
    again = replace(USED, version=6)
    assert publish(again, change="high", live_version=5, newest_two=[undone, LAST], by="ann", at=NOW) is None


def test_without_any_publication_before_it_takes_two_people() -> None:
    low = replace(USED, risk="low")
    assert publish(low, change="low", live_version=None, newest_two=[], by="ann", at=NOW) is None
    first = publish(APPROVED, change="low", live_version=None, newest_two=[], by="ann", at=NOW)
    assert first is not None
    assert (first.number, first.agreed_on) == (1, 7)
