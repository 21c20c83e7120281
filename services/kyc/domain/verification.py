"""A customer's verification: its states, who moves it between them, and what each state is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Final, Literal, get_args

from libs.common.errors import Conflict
from services.kyc.domain.review import STANDARD_RISK, Claim, Risk

Status = Literal[
    "none", "in_review", "needs_info", "approved", "tier_in_review", "tier_needs_info", "suspended", "rejected"
]
ToldStatus = Literal["none", "in_review", "needs_info", "approved", "suspended", "rejected"]
"""What programs decide by: whoever asks for a higher tier is as approved as before."""
CustomerAction = Literal["apply", "provide", "request", "prepare", "withdraw"]
StaffAction = Literal["approve", "reject", "decline", "ask", "suspend", "resume"]
Action = CustomerAction | StaffAction
NextAction = Literal["apply", "wait", "provide", "nothing"]
Phase = Literal[
    "not_started",
    "under_review",
    "information_needed",
    "verified",
    "tier_under_review",
    "tier_information_needed",
    "suspended",
    "declined",
]

NO_TIER: Final = 0
"""Sends nothing, receives held."""
APPLICATION_TIER: Final = 1
"""What an approved application is worth, without documents."""
TIER_MAX: Final = 3
WAITING: Final[frozenset[Status]] = frozenset({"in_review", "tier_in_review"})
"""Those who wait for a reviewer."""
TIER_REQUESTED: Final[frozenset[Status]] = frozenset({"tier_in_review", "tier_needs_info"})
"""Approved customers who have asked for a higher tier."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a verification stands. `version` counts its states; 0 is the state of somebody who never applied.

    `kept_tier` is what a suspended customer had and gets back when it ends; `may_retry`, whether one who was rejected
    may apply again. `requested_tier` is the higher one that an approved customer has asked for.
    """

    status: Status
    tier: int
    version: int
    kept_tier: int = NO_TIER
    may_retry: bool = True
    requested_tier: int = NO_TIER


@dataclass(frozen=True, slots=True)
class Application:
    """What the customer says of himself. Personal data: it stays in this service."""

    full_name: str
    birth_date: date
    country: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification as stored, its `application` until the customer was erased.

    `decided_*` are empty until a reviewer has decided on the present application. `needs` is what he asked for,
    `rejection_code` why he turned it down, `retry_at` from when on the customer may ask again. `claim` and `risk` are
    no part of the state: they change without a version.
    """

    user_id: str
    state: State
    application: Application | None
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str
    changed_at: datetime
    rejection_code: str = ""
    needs: tuple[str, ...] = ()
    claim: Claim | None = None
    risk: Risk = STANDARD_RISK
    retry_at: datetime | None = None


NEVER_APPLIED: Final = State(status="none", tier=NO_TIER, version=0)

TRANSITIONS: Final[Mapping[tuple[Status, Action], Status]] = MappingProxyType(
    {
        ("none", "apply"): "in_review",
        ("in_review", "approve"): "approved",
        ("in_review", "reject"): "rejected",
        ("in_review", "ask"): "needs_info",
        # Whoever was asked sends his application once more, corrected, or says that what was asked for is there.
        ("needs_info", "apply"): "in_review",
        ("needs_info", "provide"): "in_review",
        ("needs_info", "reject"): "rejected",
        # Another tier, up or down; new transfers alone feel it.
        ("approved", "approve"): "approved",
        # Revoked by compliance: new transfers stop, posted ones stand.
        ("approved", "reject"): "rejected",
        ("approved", "suspend"): "suspended",
        # A higher tier: with all its documents there, or before. Meanwhile he keeps the tier that he has, and only
        # staff can take that away: by a suspension, which ends the request. `reject` would be taken for `decline`.
        ("approved", "request"): "tier_in_review",
        ("approved", "prepare"): "tier_needs_info",
        ("tier_needs_info", "provide"): "tier_in_review",
        ("tier_needs_info", "withdraw"): "approved",
        ("tier_needs_info", "decline"): "approved",
        ("tier_needs_info", "suspend"): "suspended",
        ("tier_in_review", "approve"): "approved",
        ("tier_in_review", "decline"): "approved",
        ("tier_in_review", "ask"): "tier_needs_info",
        ("tier_in_review", "withdraw"): "approved",
        ("tier_in_review", "suspend"): "suspended",
        ("suspended", "resume"): "approved",
        ("suspended", "reject"): "rejected",
        ("rejected", "apply"): "in_review",
    }
)
"""(present status, action) → new status. What is not listed is refused; docs/verification.md is drawn from it."""

PHASES: Final[Mapping[Status, Phase]] = MappingProxyType(
    {
        "none": "not_started",
        "in_review": "under_review",
        "needs_info": "information_needed",
        "approved": "verified",
        "tier_in_review": "tier_under_review",
        "tier_needs_info": "tier_information_needed",
        "suspended": "suspended",
        "rejected": "declined",
    }
)
"""status → what a customer's screen shows."""

_NEXT_ACTIONS: Final[Mapping[Status, NextAction]] = MappingProxyType(
    {
        "none": "apply",
        "in_review": "wait",
        "needs_info": "provide",
        "approved": "nothing",
        "tier_in_review": "wait",
        "tier_needs_info": "provide",
        "suspended": "wait",
        "rejected": "apply",
    }
)

_NO_REQUEST: Final = ("tier_not_requestable", "Ask for a tier above yours, once you are approved, one at a time.")
_REFUSALS: Final[Mapping[Action, tuple[str, str]]] = MappingProxyType(
    {
        "apply": ("application_exists", "There is an application already; see its status."),
        "provide": ("information_not_asked", "Nobody waits for anything from you; see the status."),
        "request": _NO_REQUEST,
        "prepare": _NO_REQUEST,
        "withdraw": ("tier_not_requestable", "You have asked for no tier."),
        "approve": (
            "not_in_review",
            "Only an application in review is approved, or an approved customer given another tier.",
        ),
        "reject": ("not_in_review", "There is nothing to reject; a request for a tier is declined."),
        "decline": ("not_in_review", "No tier was asked for."),
        "ask": ("not_in_review", "More is asked for only while an application is in review."),
        "suspend": ("not_in_review", "Only an approval can be suspended."),
        "resume": ("not_in_review", "Only an approval that is suspended can be resumed."),
    }
)


def move(state: State, action: Action, *, tier: int = APPLICATION_TIER, may_retry: bool = True) -> State:
    """Return the state after the action.

    `tier` is what an approval gives or a request is for, `may_retry` what a rejection leaves open. Raises: Conflict
    `application_exists`, `retry_not_allowed`, `information_not_asked`, `tier_not_requestable` or `not_in_review`, with
    the actions that would be legal for whoever asks.
    """
    target = TRANSITIONS.get((state.status, action))
    if target is None or not _is_another_tier(state, action, tier):
        code, detail = _REFUSALS[action]
        raise Conflict(code, detail, **_standing(state, action))
    if state.status == "rejected" and not state.may_retry:
        raise Conflict("retry_not_allowed", "The rejection is final; ask support.", **_standing(state, action))
    return State(
        status=target,
        tier=_tier_after(state, action, target, tier),
        version=state.version + 1,
        kept_tier=state.tier if action == "suspend" else NO_TIER,
        may_retry=may_retry if action == "reject" else True,
        requested_tier=_requested_after(state, action, target, tier),
    )


def require_in_review(state: State) -> None:
    """Let pass what waits for a reviewer. Raises: Conflict `not_in_review`, with what is legal."""
    if state.status not in WAITING:
        raise Conflict("not_in_review", "It waits for no reviewer.", **_standing(state, "approve"))


def legal_actions(state: State, *, of_staff: bool) -> list[Action]:
    """Return what staff, or the customer himself, may do in this state, in the table's order."""
    actions = get_args(StaffAction if of_staff else CustomerAction)
    listed: list[Action] = [action for status, action in TRANSITIONS if status == state.status and action in actions]
    return listed if state.status != "rejected" or state.may_retry else []


def next_action(state: State) -> NextAction:
    """Return what the customer does next."""
    return "nothing" if state.status == "rejected" and not state.may_retry else _NEXT_ACTIONS[state.status]


def told_status(status: Status) -> ToldStatus:
    """Return what others are told: a request for a tier changes nothing that they decide by."""
    if status == "tier_in_review" or status == "tier_needs_info":  # noqa: PLR1714 -- so that types are narrowed
        return "approved"
    return status


def can_retry(state: State) -> bool:
    """Tell whether a customer who was turned down may apply again."""
    return state.status == "rejected" and state.may_retry


def _is_another_tier(state: State, action: Action, tier: int) -> bool:
    """Tell whether the tier fits: what is asked for, and given for it, is a higher one; else staff give any other."""
    if action in ("request", "prepare") or (action == "approve" and state.status in TIER_REQUESTED):
        return tier > state.tier
    return action != "approve" or tier != state.tier


def _tier_after(state: State, action: Action, target: Status, tier: int) -> int:
    if action == "approve":
        return tier
    if action == "resume":
        return state.kept_tier
    return state.tier if told_status(target) == "approved" else NO_TIER


def _requested_after(state: State, action: Action, target: Status, tier: int) -> int:
    if target not in TIER_REQUESTED:
        return NO_TIER
    return tier if action in ("request", "prepare") else state.requested_tier


def _standing(state: State, action: Action) -> dict[str, object]:
    of_staff = action in get_args(StaffAction)
    status = state.status if of_staff else told_status(state.status)
    return {"verification_status": status, "legal_actions": legal_actions(state, of_staff=of_staff)}
