"""`fraud.alerts` as people read and change them."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.fraud.domain.alerts import Alert, AlertEvent, AlertQuery, AlertTransfer

_COLUMNS: Final = (
    "alert_id::text, typology, subject_id::text, opened_at, parameters_version, state, version, claimed_by::text, "
    "changed_at, window_from, window_to, score, transfers"
)
# Whoever it is about must not learn of it, whatever his roles: to him there is no such alert.
_ONE: Final = f"""
    SELECT {_COLUMNS} FROM fraud.alerts
    WHERE alert_id = CAST(:alert_id AS uuid) AND subject_id <> CAST(:asker_id AS uuid)
"""  # noqa: S608 -- columns written here
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM fraud.alerts WHERE {{conditions}} ORDER BY alert_id DESC LIMIT :limit
"""  # noqa: S608 -- columns written here
_CONDITIONS: Final = {
    "before_id": "alert_id < CAST(:before_id AS uuid)",
    "typology": "typology = :typology",
    "state": "state = :state",
    "subject_id": "subject_id = CAST(:subject_id AS uuid)",
    "begins_at": "opened_at >= :begins_at",
    "ends_before": "opened_at < :ends_before",
}
_TRANSFERS: Final = text("""
    SELECT transfer_id::text, payer_id::text, payee_id::text, usd_minor, posted_at, shard, journal_index
    FROM fraud.alert_transfers WHERE alert_id = CAST(:alert_id AS uuid)
    ORDER BY posted_at, shard, journal_index, place
""")
_EVENTS: Final = text("""
    SELECT version, event, from_state, to_state, actor_id::text, text, at FROM fraud.alert_events
    WHERE alert_id = CAST(:alert_id AS uuid) AND version < :before_version ORDER BY version DESC LIMIT :limit
""")
_CHANGE: Final = text("""
    UPDATE fraud.alerts SET state = :state, claimed_by = CAST(:claimed_by AS uuid), version = :version,
        changed_at = :changed_at
    WHERE alert_id = CAST(:alert_id AS uuid)
""")
_SAY: Final = text("""
    INSERT INTO fraud.alert_events (alert_id, version, event, from_state, to_state, actor_id, text, at)
    VALUES (CAST(:alert_id AS uuid), :version, :event, :from_state, :to_state, CAST(:actor_id AS uuid), :text, :at)
""")


async def find_alert(connection: AsyncConnection, alert_id: str, asker_id: str) -> Alert | None:
    """Return the alert, unlocked, unless it is about whoever asks."""
    return await _one(connection, _ONE, alert_id, asker_id)


async def lock_alert(connection: AsyncConnection, alert_id: str, asker_id: str) -> Alert | None:
    """Return the alert, unless it is about whoever asks, and keep others from changing it until the commit."""
    return await _one(connection, f"{_ONE} FOR UPDATE", alert_id, asker_id)


async def read_alerts(
    connection: AsyncConnection, asked: AlertQuery, asker_id: str, *, before_id: str | None, limit: int
) -> list[Alert]:
    """Return alerts, newest first, behind the one `before_id`, without those about whoever asks."""
    wanted: dict[str, Any] = {**asked._asdict(), "before_id": before_id}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    conditions = ["subject_id <> CAST(:asker_id AS uuid)", *(_CONDITIONS[name] for name in wanted)]
    statement = text(_PAGE.format(conditions=" AND ".join(conditions)))
    rows = await connection.execute(statement, {**wanted, "asker_id": asker_id, "limit": limit})
    return [Alert(*row) for row in rows]


async def read_transfers(connection: AsyncConnection, alert_id: str) -> list[AlertTransfer]:
    """Return what proves the alert, in the order of posting: a thousand at most."""
    return [AlertTransfer(*row) for row in await connection.execute(_TRANSFERS, {"alert_id": alert_id})]


async def read_events(
    connection: AsyncConnection, alert_id: str, *, before_version: int, limit: int
) -> Sequence[AlertEvent]:
    """Return what happened to the alert before a version of it, newest first."""
    asked = {"alert_id": alert_id, "before_version": before_version, "limit": limit}
    return [AlertEvent(*row) for row in await connection.execute(_EVENTS, asked)]


async def save_alert(connection: AsyncConnection, alert: Alert, event: AlertEvent) -> None:
    """Store the alert at its next version, and the event that made it. The caller has locked it."""
    await connection.execute(
        _CHANGE,
        {
            "alert_id": alert.alert_id,
            "state": alert.state,
            "claimed_by": alert.claimed_by,
            "version": alert.version,
            "changed_at": alert.changed_at,
        },
    )
    await connection.execute(
        _SAY,
        {
            "alert_id": alert.alert_id,
            "version": event.version,
            "event": event.event,
            "from_state": event.from_state,
            "to_state": event.to_state,
            "actor_id": event.actor_id,
            "text": event.text,
            "at": event.at,
        },
    )


async def _one(connection: AsyncConnection, statement: str, alert_id: str, asker_id: str) -> Alert | None:
    row = (await connection.execute(text(statement), {"alert_id": alert_id, "asker_id": asker_id})).first()
    return Alert(*row) if row else None
