"""Reviews: people decide on a transfer that a rule has held. Who may, when it is due, and when it takes two."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from libs.common.errors import Conflict, Forbidden

Priority = Literal["normal", "high"]
ReviewStatus = Literal["open", "approved", "rejected", "expired", "ended"]
"""`expired`: nobody decided in time. `ended`: the hold ended otherwise, by its payee's KYC or by the ledger."""

TWO_PEOPLE_ABOVE_MINOR: Final = 100_000_00
"""Above this, in US cents, a release takes two different people."""
DUE_AFTER: Final = {"normal": timedelta(hours=24), "high": timedelta(hours=4)}
"""How soon somebody should have decided."""
GRACE: Final = timedelta(hours=48)
"""How long after it was due a review is still waited for: 72 hours in all for a normal one."""
CLAIM_LASTS: Final = timedelta(minutes=15)
"""How long a reviewer has a review to himself; claiming it again begins anew."""

REJECTED_CODE: Final = "transfer_not_permitted"
"""All that a customer is told, whatever the rule: to say more could tip off whom it suspects."""
EXPIRED_CODE: Final = "review_expired"


@dataclass(frozen=True, slots=True)
class Review:
    """A review as stored. `parties` are payer, payees and whoever asked; `usd_minor` is what the transfer is worth."""

    transfer_id: str
    status: ReviewStatus
    parties: Sequence[str]
    usd_minor: int
    claimed_by: str | None
    claimed_until: datetime | None
    first_approved_by: str | None


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did. A review that is `open` still waits for a second person.

    `remaining` is what the transfer waits for still. `code` is empty, or why it was rejected: also an approved one is
    when a list forbids it by now, or when it comes so late that the limits do.
    """

    transfer_id: str
    review_status: ReviewStatus
    remaining: tuple[Literal["kyc_pending", "review"], ...]
    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One that could not be decided, and why."""

    transfer_id: str
    code: str
    detail: str


def needs_two(usd_minor: int) -> bool:
    """Tell whether a release takes two people."""
    return usd_minor > TWO_PEOPLE_ABOVE_MINOR


def priority_of(usd_minor: int) -> Priority:
    """Return how urgent a review is: what takes two people should not wait for the second until tomorrow."""
    return "high" if needs_two(usd_minor) else "normal"


def require_outsider(parties: Collection[object], actor_id: str) -> None:
    """Let pass who takes no part in a transfer. Raises: Forbidden `own_transfer`."""
    if actor_id in parties:
        raise Forbidden("own_transfer", "Nobody looks into a transfer that he takes part in; ask a colleague.")


def require_reviewer(review: Review, actor_id: str, now: datetime) -> None:
    """Let pass who may work on this review now.

    Raises: Forbidden `own_transfer`; Conflict `review_not_open`, `review_claimed` (somebody else's claim lasts).
    """
    require_outsider(review.parties, actor_id)
    if review.status != "open":
        raise Conflict("review_not_open", "This review is over.", review_status=review.status)
    if review.claimed_by not in {None, actor_id} and review.claimed_until is not None and now < review.claimed_until:
        raise Conflict(
            "review_claimed",
            "A colleague works on this review.",
            claimed_by=review.claimed_by,
            claimed_until=review.claimed_until.isoformat(),
        )


def is_last_approval(review: Review, actor_id: str) -> bool:
    """Tell whether one more approval, by this person, releases the transfer; else it waits for a second person.

    Raises: Conflict `second_person_required`: he was the first himself.
    """
    if not needs_two(review.usd_minor):
        return True
    if review.first_approved_by == actor_id:
        raise Conflict("second_person_required", "You have approved it; it takes another person.")
    return review.first_approved_by is not None
