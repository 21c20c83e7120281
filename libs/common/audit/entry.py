"""One entry of the audit log: who did what to which resource, from where, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from libs.common.audit.asker import ActorKind, Asker
from libs.common.ids import new_id
from libs.common.invariants import check
from libs.common.proof.canonical_json import canonical

Outcome = Literal["done", "refused", "failed"]

FACTS_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What the table has a column for. `facts` is canonical JSON (RFC 8785): small, and without personal data."""

    entry_id: str
    at: datetime
    actor_id: str
    actor_kind: ActorKind
    action: str
    resource_type: str
    resource_id: str
    address: str
    user_agent: str
    request_id: str
    outcome: Outcome
    reason: str
    facts: str


def new_entry(
    asker: Asker,
    action: str,
    *,
    at: datetime,
    resource: tuple[str, str],
    outcome: Outcome = "done",
    reason: str = "",
    facts: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Return an entry of this moment about `resource`, a type and an id. `reason` is the code of a refusal."""
    text = canonical(dict(facts or {})).decode("utf-8")
    check(len(text) <= FACTS_BYTES_MAX, "facts of an audit entry are small", action=action, characters=len(text))
    return AuditEntry(
        entry_id=new_id(),
        at=at,
        actor_id=asker.actor_id,
        actor_kind=asker.actor_kind,
        action=action,
        resource_type=resource[0],
        resource_id=resource[1],
        address=asker.address,
        user_agent=asker.user_agent,
        request_id=asker.request_id,
        outcome=outcome,
        reason=reason,
        facts=text,
    )
