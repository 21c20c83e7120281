"""Makes entries of the audit log, and turns them into rows and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.audit.asker import Asker
from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.contracts.audit import AuditEntry, Outcome
from libs.common.ids import new_id
from libs.common.invariants import check
from libs.common.proof.canonical_json import canonical

FACTS_CHARACTERS_MAX: Final = 4096
RECORDS: Final = "records"
"""The fact that names the journal indexes of the records an entry of the ledger tells of."""
COLUMNS: Final = tuple(name for name in AuditEntry.__struct_fields__ if name != "service")
"""The columns of `<service>.audit_log`, in their order; the schema says which service."""


def new_entry(
    service: str,
    asker: Asker,
    action: str,
    *,
    at: datetime,
    resource: tuple[str, str],
    outcome: Outcome = "done",
    reason: str = "",
    facts: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Return an entry of this moment about `resource`, a type and an id. `reason` is the code of a refusal.

    An API key that was used is named in the facts.
    """
    said = {**(facts or {}), **({"key_id": asker.key_id} if asker.key_id else {})}
    text = canonical(said).decode("utf-8")
    check(len(text) <= FACTS_CHARACTERS_MAX, "facts of an audit entry are small", action=action, characters=len(text))
    return AuditEntry(
        entry_id=new_id(),
        at=to_rfc3339(at),
        service=service,
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


def as_row(entry: AuditEntry) -> dict[str, Any]:
    """Return column → value."""
    row = msgspec.structs.asdict(entry)
    del row["service"]
    return row | {"at": from_rfc3339(entry.at)}


def from_row(service: str, row: Sequence[Any]) -> AuditEntry:
    """Return the entry that a row holds, its columns in the order of `COLUMNS`."""
    said: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    return AuditEntry(**said | {"service": service, "entry_id": str(said["entry_id"]), "at": to_rfc3339(said["at"])})
