"""Erasing a customer: one of the staff asks, another one approves, within a week; until then either stops it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.common.errors import Conflict, Forbidden, NotFound

REQUEST_LIFETIME: Final = timedelta(days=7)


class StopReason(StrEnum):
    """Why nothing is to be erased after all. A code, because words about a person would be data about him again."""

    MISTAKEN = "mistaken"
    """Somebody else was meant, or another law holds."""
    NOT_CONFIRMED = "not_confirmed"
    """Nobody could make sure that it is to be."""
    STILL_NEEDED = "still_needed"
    """A law, a dispute or an investigation asks to keep it longer."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was asked about a customer, and whether it was done or stopped."""

    user_id: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    erased_at: datetime | None = None
    stopped_at: datetime | None = None

    def waits_at(self, now: datetime) -> bool:
        """Tell whether somebody else may approve it."""
        return self.erased_at is None and self.stopped_at is None and now < self.expires_at


def require_erasable(state: str, retention: timedelta) -> None:
    """Let pass a customer whom the law lets go.

    `state` is what the database says of him. Raises: NotFound `customer_not_found`; Conflict `customer_not_closed`,
    `retention_not_over`, `customer_erased`.
    """
    if state == "unknown":
        raise NotFound("customer_not_found", "There is no such customer.")
    if state == "open":
        raise Conflict("customer_not_closed", "Only a customer who has closed is erased.")
    if state == "retained":
        raise Conflict("retention_not_over", "The law still asks to keep this data.", retention_days=retention.days)
    if state == "erased":
        raise Conflict("customer_erased", "What was known of this customer has been destroyed.")


def require_waiting(erasure: Erasure | None, now: datetime) -> Erasure:
    """Return what waits for a second person. Raises: NotFound `erasure_not_requested`."""
    if erasure is None or not erasure.waits_at(now):
        raise NotFound("erasure_not_requested", "Nobody has asked for it lately; ask, and have a colleague approve.")
    return erasure


def require_second_person(erasure: Erasure | None, approver_id: str, now: datetime) -> None:
    """Let pass who did not ask himself. Raises: NotFound `erasure_not_requested`; Forbidden `own_request`."""
    erasure = require_waiting(erasure, now)
    if erasure.requested_by == approver_id:
        raise Forbidden("own_request", "You asked for this yourself; a colleague approves it.")
