"""Hears AuditRecorded, of every service: what was done, by whom and from where."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.audit import AuditRecorded
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.collect_audit_entries import collect_audit_entries


class OnAuditRecorded:
    """Collects the entries."""

    def __init__(self, connection: HotConnection) -> None:
        """Use this connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Collect one batch. Idempotent by: entry id."""
        await collect_audit_entries([cast("AuditRecorded", received.message) for received in batch], self._connection)
