"""What others noticed about customers is kept once, of everybody concerned."""

from datetime import UTC, datetime

import asyncpg
import pytest

from libs.common.contracts.kyc import DocumentShared
from libs.common.ids import new_id
from services.fraud.use_cases.keep_signals import KeepSignals
from tests.integration.fraud.office import Office
from tests.support.api_world import admin_connection


async def test_a_shared_document_is_kept_once_of_all_who_have_it(office: Office, fraud_admin_dsn: str) -> None:
    user_id, other, document_id = new_id(), new_id(), new_id()
    shared = DocumentShared(
        document_id=document_id, user_id=user_id, other_user_ids=(other,), occurred_at="2026-03-01T09:30:00.000000Z"
    )
    keep = KeepSignals(office.work)
    await keep([shared, shared])
    await keep([shared])
    await keep([])
    async with admin_connection(fraud_admin_dsn) as connection:
        rows = await connection.fetch(
            "SELECT user_id::text, kind, at FROM fraud.signals WHERE source_id = $1", document_id
        )
        assert sorted(tuple(row) for row in rows) == sorted(
            (one, "document_shared", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)) for one in (user_id, other)
        )
        for statement in ("UPDATE fraud.signals SET kind = 'x'", "DELETE FROM fraud.signals", "TRUNCATE fraud.signals"):
            with pytest.raises(asyncpg.CheckViolationError) as refusal:
                await connection.execute(statement)
            assert refusal.value.constraint_name == "signals_append_only"
