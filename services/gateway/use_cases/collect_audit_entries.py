"""Keep in one place what every service says it wrote into its audit log."""

from collections.abc import Sequence

from libs.common.contracts.audit import AuditRecorded
from libs.common.db.hot import HotConnection
from services.gateway.store.audit_entries import save_entries


async def collect_audit_entries(messages: Sequence[AuditRecorded], connection: HotConnection) -> None:
    """Keep the entries, to be sealed. Idempotent by: entry id; each is said twice. Raises: Unavailable."""
    entries = {entry.entry_id: entry for message in messages for entry in message.entries}
    if entries:
        async with connection.autocommit() as database:
            await save_entries(database, list(entries.values()))
