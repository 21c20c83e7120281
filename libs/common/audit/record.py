"""Write audit entries in the transaction of what they tell of: both commit, or neither does."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache

from sqlalchemy import Column, DateTime, MetaData, Table, Text, Uuid, insert

from libs.common.audit.asker import Asker
from libs.common.audit.entry import AuditEntry, Outcome, new_entry
from libs.common.db.unit_of_work import Transaction


async def record(
    tx: Transaction,
    asker: Asker,
    action: str,
    *,
    at: datetime,
    resource: tuple[str, str],
    outcome: Outcome = "done",
    reason: str = "",
    facts: Mapping[str, object] | None = None,
) -> None:
    """Append one entry to the service's audit log, in this transaction.

    `action` is one of the permission matrix, `resource` a type and an id (`("customer", user_id)`). `facts` are small:
    what an admin changed as `{"before": …, "after": …}`; ids, codes and numbers, never names, addresses or secrets.
    The edge writes no entry of its own for the same request then, unless it is refused after all.
    """
    entry = new_entry(asker, action, at=at, resource=resource, outcome=outcome, reason=reason, facts=facts)
    await record_entries(tx, [entry])
    asker.is_recorded = True


async def record_entries(tx: Transaction, entries: Sequence[AuditEntry]) -> None:
    """Append these entries, at least one, to the service's audit log, in this transaction."""
    await tx.connection.execute(insert(_audit_log(tx.service)), [asdict(entry) for entry in entries])


@cache
def _audit_log(service: str) -> Table:
    return Table(
        "audit_log",
        MetaData(schema=service),
        Column("entry_id", Uuid(as_uuid=False), primary_key=True),
        Column("at", DateTime(timezone=True)),
        *(Column(name, Text) for name in _TEXTS),
    )


_TEXTS = (
    "actor_id",
    "actor_kind",
    "action",
    "resource_type",
    "resource_id",
    "address",
    "user_agent",
    "request_id",
    "outcome",
    "reason",
    "facts",
)
