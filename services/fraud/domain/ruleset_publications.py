"""What it takes to put a rule set live: two people, unless it is a small change or a roll-back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.fraud.domain.rules import RulesetDocument
from services.fraud.domain.ruleset_life import Risk, StoredRuleset, has_same_effect, risk_of

Basis = Literal["approval", "small_change", "rollback"]

ROLLBACK_FOR: Final = timedelta(hours=24)
"""How long after a publication one person may undo it."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A rule set that went live. `replaces` is what it retired, `agreed_on` what two people agreed on last.

    `approval_id` and `approved_by` are those of the approval it used up; None where one person was enough.
    """

    number: int
    version: int
    replaces: int | None
    basis: Basis
    agreed_on: int
    approval_id: str | None
    approved_by: str | None
    published_by: str
    at: datetime


def change_of(document: RulesetDocument, live: RulesetDocument | None, agreed: RulesetDocument | None) -> Risk:
    """Return the risk of putting a set live beside what is live and what two people agreed on last.

    Each of many small changes is small beside the one before; so all of them together must be. What equals one of the
    two changes nothing that two people have not seen. None stands for none, and for one that cannot be read.
    """
    known = [one for one in (live, agreed) if one is not None]
    if any(has_same_effect(document, one) for one in known):
        return "low"
    return "low" if risk_of(document, live) == risk_of(document, agreed) == "low" else "high"


def publish(
    ruleset: StoredRuleset,
    *,
    change: Risk,
    live_version: int | None,
    newest_two: Sequence[Publication],
    by: str,
    at: datetime,
) -> Publication | None:
    """Return the publication, or None if it takes a colleague's approval first.

    `newest_two` are the publications before, newest first. An approval counts once, while the set that it was given
    beside is live, and for somebody else than who gave it. What is undone loses its approval: it needs a new one.
    """
    last, before = (*newest_two, None, None)[:2]
    basis: Basis
    if ruleset.approval_stands and ruleset.approved_by != by:
        basis, agreed_on = "approval", ruleset.version
    elif change == "low" and last is not None and (ruleset.risk == "low" or ruleset.approved_by is not None):
        basis, agreed_on = "small_change", last.agreed_on
    elif last is not None and _undoes(last, ruleset.version, live_version, at):
        basis, agreed_on = "rollback", before.agreed_on if before else ruleset.version
    else:
        return None
    is_approved = basis == "approval"
    return Publication(
        number=last.number + 1 if last else 1,
        version=ruleset.version,
        replaces=live_version,
        basis=basis,
        agreed_on=agreed_on,
        approval_id=ruleset.approval_id if is_approved else None,
        approved_by=ruleset.approved_by if is_approved else None,
        published_by=by,
        at=at,
    )


def _undoes(last: Publication, version: int, live_version: int | None, at: datetime) -> bool:
    is_live = last.version == live_version
    return is_live and last.basis != "rollback" and last.replaces == version and at < last.at + ROLLBACK_FOR
