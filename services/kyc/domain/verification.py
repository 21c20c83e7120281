"""A customer's verification: its states, who moves it between them, and what each state is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Final, Literal

from libs.common.errors import Conflict

Status = Literal["none", "in_review", "approved", "rejected"]
Action = Literal["apply", "approve", "reject"]
NextAction = Literal["apply", "wait", "nothing"]

NO_TIER: Final = 0
"""Sends nothing, receives held."""
APPLICATION_TIER: Final = 1
"""What an approved application is worth, without documents."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a verification stands. `version` counts its states; 0 is the state of somebody who never applied."""

    status: Status
    tier: int
    version: int


@dataclass(frozen=True, slots=True)
class Application:
    """What the customer says of himself. Personal data: it stays in this service."""

    full_name: str
    birth_date: date
    country: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification as stored, its `application` until the customer was erased.

    `decided_*` are empty until a reviewer has decided on the present application.
    """

    user_id: str
    state: State
    application: Application | None
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str
    changed_at: datetime


NEVER_APPLIED: Final = State(status="none", tier=NO_TIER, version=0)

TRANSITIONS: Final[Mapping[tuple[Status, Action], tuple[Status, int]]] = MappingProxyType(
    {
        ("none", "apply"): ("in_review", NO_TIER),
        ("in_review", "approve"): ("approved", APPLICATION_TIER),
        ("in_review", "reject"): ("rejected", NO_TIER),
        ("rejected", "apply"): ("in_review", NO_TIER),
        # Revoked by compliance: new transfers stop, posted ones stand.
        ("approved", "reject"): ("rejected", NO_TIER),
    }
)
"""(present status, action) → (new status, new tier). What is not listed is refused."""

NEXT_ACTIONS: Final[Mapping[Status, NextAction]] = MappingProxyType(
    {"none": "apply", "in_review": "wait", "approved": "nothing", "rejected": "apply"}
)
"""status → what the customer does next."""

_REFUSALS: Final[Mapping[Action, tuple[str, str]]] = MappingProxyType(
    {
        "apply": ("application_exists", "There is an application already; see its status."),
        "approve": ("not_in_review", "Only an application in review can be approved."),
        "reject": ("not_in_review", "Only an application in review or an approved one can be rejected."),
    }
)


def move(state: State, action: Action) -> State:
    """Return the state after the action. Raises: Conflict `application_exists` or `not_in_review`."""
    target = TRANSITIONS.get((state.status, action))
    if target is None:
        code, detail = _REFUSALS[action]
        raise Conflict(code, detail, verification_status=state.status)
    status, tier = target
    return State(status=status, tier=tier, version=state.version + 1)


def can_retry(status: Status) -> bool:
    """Tell whether a customer who was turned down may apply again."""
    return status == "rejected" and (status, "apply") in TRANSITIONS
