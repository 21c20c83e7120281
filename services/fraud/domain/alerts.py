"""An alert and the states it goes through: opened by what was found, claimed, and closed for good by a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

Typology = Literal["structuring", "fan_in", "pass_through"]
AlertState = Literal["open", "in_review", "closed_confirmed", "closed_suspicious", "closed_false_positive"]
Verdict = Literal["closed_confirmed", "closed_suspicious", "closed_false_positive"]

LEGAL_MOVES: Final[Mapping[AlertState, tuple[AlertState, ...]]] = {
    "open": ("in_review",),
    "in_review": ("open", "closed_confirmed", "closed_suspicious", "closed_false_positive"),
    "closed_confirmed": (),
    "closed_suspicious": (),
    "closed_false_positive": (),
}
"""State → those that may follow. `in_review` comes by claiming, `open` by giving it back."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding on one customer. `claimed_by` is who reviews or closed it, `transfers` how many prove it.

    `version` counts its events from 1; `score` is 0 to 100. The window is from the first to the last transfer.
    """

    alert_id: str
    typology: Typology
    subject_id: str
    opened_at: datetime
    parameters_version: int
    state: AlertState
    version: int
    claimed_by: str | None
    changed_at: datetime
    window_from: datetime
    window_to: datetime
    score: int
    transfers: int


@dataclass(frozen=True, slots=True)
class AlertTransfer:
    """A payment that proves an alert, and the journal record that proves it. A deposit has no payer."""

    transfer_id: str
    payer_id: str | None
    payee_id: str | None
    usd_minor: int
    posted_at: datetime
    shard: int
    journal_index: int


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an alert at a version of it. `actor_id` is None for the system; `text` says why."""

    version: int
    event: Literal["opened", "joined", "claimed", "returned", "closed", "noted"]
    from_state: AlertState | None
    to_state: AlertState
    actor_id: str | None
    text: str
    at: datetime


class AlertQuery(NamedTuple):
    """Which alerts: all that is not None must be so."""

    typology: str | None = None
    state: str | None = None
    subject_id: str | None = None
    begins_at: datetime | None = None
    ends_before: datetime | None = None
