"""Writes docs/verification.md from kyc's table of transitions: `python -m tools.verification_page [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from services.kyc.domain.verification import NEVER_APPLIED, PHASES, TRANSITIONS, CustomerAction, State, next_action

PAGE: Final = Path(__file__).parents[1] / "docs" / "verification.md"
_HEAD: Final = """# How a customer is verified

Written by `make verification` from `TRANSITIONS` in `services/kyc/domain/verification.py`, by which kyc decides; the
database refuses any other move. What is marked *(customer)* he does himself, all else compliance does.

```mermaid
stateDiagram-v2
    [*] --> none"""
_AFTER: Final = """```

An approved customer who asks for a higher tier goes on with the one he has: `tier_in_review` and `tier_needs_info` are
for reviewers, everybody else is told `approved`. `request` has all documents of the tier, `prepare` has not; both are
`POST /api/v1/kyc/tier`. `decline` leaves him his tier. `reject` is refused while he asks, so that nobody takes the tier
away who means the request; `suspend` ends it. What has run out, a document or a proof, is suspended by compliance, too.

A move that is not here is 409, and the problem document's `legal_actions` lists those that are. Each one is an event
with its actor and its reason in `kyc.verification_events`, and `VerificationChanged` on the bus, in one transaction.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_arrows(), _AFTER, *_states()]) + "\n"


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; return the exit code."""
    if arguments != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stdout.write("docs/verification.md is out of date; write it with `make verification`\n")
    return 1


def _arrows() -> Iterator[str]:
    for (status, action), target in TRANSITIONS.items():
        by = " (customer)" if action in get_args(CustomerAction) else ""
        yield f"    {status} --> {target}: {action}{by}"


def _states() -> Iterator[str]:
    yield "| status | phase | next action of the customer | worth |"
    yield "|---|---|---|---|"
    for status, phase in PHASES.items():
        state = State(status=status, tier=NEVER_APPLIED.tier, version=1)
        worth = {"approved": "tier 1 to 3", "tier_in_review": "the tier he has", "tier_needs_info": "the tier he has"}
        tier = worth.get(status, "tier 0")
        yield f"| `{status}` | `{phase}` | `{next_action(state)}` | {tier} |"
    yield ""
    yield "After a rejection the next action is `wait` until `retry_at`; after one that is final it is `nothing`, and"
    yield "`can_retry` is false."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
