"""Write audit entries in the transaction of what they tell of: both commit, or neither does."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Column, DateTime, MetaData, Table, Text, Uuid, insert

from libs.common.audit.asker import Asker
from libs.common.audit.entry import COLUMNS, as_row, new_entry
from libs.common.contracts.audit import AuditEntry, AuditRecorded, Outcome
from libs.common.contracts.topics import audit_entries_of
from libs.common.db.unit_of_work import Transaction
from libs.common.telemetry.metrics import AUDIT_ENTRIES


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
    """Append one entry to the service's audit log, in this transaction. Emits: AuditRecorded.

    `action` is one of the permission matrix, `resource` a type and an id (`("customer", user_id)`). `facts` are small:
    what an admin changed as `{"before": …, "after": …}`; ids, codes and numbers, never names, addresses or secrets.
    The edge writes no entry of its own for the same request then, unless it is refused after all.
    """
    entry = new_entry(tx.service, asker, action, at=at, resource=resource, outcome=outcome, reason=reason, facts=facts)
    await record_entries(tx, [entry])
    asker.is_recorded = True


async def record_entries(tx: Transaction, entries: Sequence[AuditEntry]) -> None:
    """Append entries, one to a hundred, to the service's audit log, in this transaction. Emits: AuditRecorded."""
    await tx.connection.execute(insert(_audit_log(tx.service)), [as_row(entry) for entry in entries])
    tx.emit(audit_entries_of(tx.service), entries[0].entry_id, AuditRecorded(entries=tuple(entries)))
    for entry in entries:
        AUDIT_ENTRIES.labels(entry.service, entry.action, entry.outcome).inc()


@cache
def _audit_log(service: str) -> Table:
    texts = (Column(name, Text) for name in COLUMNS if name not in {"entry_id", "at"})
    return Table(
        "audit_log",
        MetaData(schema=service),
        Column("entry_id", Uuid(as_uuid=False), primary_key=True),
        Column("at", DateTime(timezone=True)),
        *texts,
    )
