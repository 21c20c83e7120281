"""The work of reviewers: who has taken which application, how long one may wait, and when it takes two."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from libs.common.errors import Conflict, Forbidden

LEASE: Final = timedelta(minutes=30)
"""How long an application is a reviewer's own, unless he says so again."""
REVIEW_WITHIN: Final = timedelta(hours=24)
"""How long an applicant may wait for a reviewer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who looks at an application, and until when nobody else decides on it."""

    claimed_by: str
    claimed_until: datetime


@dataclass(frozen=True, slots=True)
class Risk:
    """Whether it takes two to approve this applicant, and who said so, or said that it no longer does; else empty."""

    is_high: bool = False
    set_by: str = ""


STANDARD_RISK: Final = Risk()


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's approval to a tier, which may wait for another's."""

    approved_by: str
    tier: int


def holder_of(claim: Claim | None, now: datetime) -> Claim | None:
    """Return the claim while it holds; one that is over is none."""
    return claim if claim is not None and now < claim.claimed_until else None


def require_free(claim: Claim | None, reviewer_id: str, now: datetime) -> None:
    """Let pass who has claimed it, or anybody if nobody has. Raises: Conflict `claimed_by_another`."""
    held = holder_of(claim, now)
    if held is not None and held.claimed_by != reviewer_id:
        raise Conflict(
            "claimed_by_another",
            "A colleague is looking at it.",
            retry_after_seconds=max(1, round((held.claimed_until - now).total_seconds())),
        )


def is_approved(risk: Risk, earlier: Collection[Approval], approval: Approval) -> bool:
    """Tell whether this approval is enough; False: it is noted, and a second person has to approve the same tier.

    Raises: Forbidden `second_person_needed` when the same person has approved that already, or has taken the flag of
    high risk away himself.
    """
    if not risk.is_high:
        if risk.set_by == approval.approved_by:
            raise Forbidden("second_person_needed", "You said yourself that one is enough; a colleague approves.")
        return True
    if approval in earlier:
        raise Forbidden("second_person_needed", "You have approved already; a colleague approves as well.")
    return any(one.tier == approval.tier for one in earlier)
