"""Write audit entries in the transaction of what they tell of: both commit, or neither does."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.audit.audit_log import append_entries, audit_recorded
from libs.common.audit.entry import new_entry
from libs.common.contracts.audit import AuditEntry, Outcome
from libs.common.messaging.outgoing_message import Outgoing


class Recordable(Protocol):
    """A running transaction of a service, with what it says once it has committed. Every unit of work's is one."""

    service: str
    messages: list[Outgoing]

    async def driver(self) -> asyncpg.Connection:
        """Return asyncpg's connection inside the transaction."""


async def record(
    tx: Recordable,
    asker: Asker,
    action: str,
    *,
    at: datetime,
    resource: tuple[str, str],
    outcome: Outcome = "done",
    reason: str = "",
    facts: Mapping[str, object] | None = None,
) -> None:
    """Append one entry to the service's audit log, in this transaction. Emits: AuditRecorded.

    `action` is one of the permission matrix, `resource` a type and an id (`("customer", user_id)`). `facts` are small:
    what an admin changed as `{"before": …, "after": …}`; ids, codes and numbers, never names, addresses or secrets.
    The edge writes no entry of its own for the same request then, unless it is refused after all.
    """
    entry = new_entry(tx.service, asker, action, at=at, resource=resource, outcome=outcome, reason=reason, facts=facts)
    await record_entries(tx, [entry])
    asker.is_recorded = True


async def record_entries(tx: Recordable, entries: Sequence[AuditEntry]) -> None:
    """Append entries, one to a hundred, to the service's audit log, in this transaction. Emits: AuditRecorded."""
    await append_entries(await tx.driver(), tx.service, entries)
    tx.messages.append(audit_recorded(tx.service, entries))
