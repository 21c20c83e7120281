"""Where people deal with dead letters: look at them, send them again, or give them up. Across all services' tables.

Whatever they do stands in the audit log of the service whose letter it is, in the same transaction.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.audit.audit_log import append_entries, audit_recorded
from libs.common.audit.entry import new_entry
from libs.common.clock import system_clock
from libs.common.contracts.topics import SERVICES
from libs.common.db.failures import DATABASE_FAILURES, as_unavailable
from libs.common.errors import Conflict, NotFound, Unprocessable
from libs.common.ids import is_id
from libs.common.messaging.outbox import leave_messages
from libs.common.messaging.replay import RawRecord, send_again
from libs.common.messaging.stored_headers import named, original_headers

Status = Literal["parked", "waiting", "replayed", "discarded", "handled"]

_LISTED_MAX: Final = 1000
_REASON_CHARACTERS_MAX: Final = 500
_LIST: Final = (
    "SELECT * FROM {schema}.dead_letters WHERE $1::text IS NULL OR status = $1 ORDER BY last_seen_at DESC LIMIT $2"
)
_FIND: Final = "SELECT * FROM {schema}.dead_letters WHERE dead_letter_id = $1"
_LOCK: Final = f"{_FIND} FOR UPDATE"
# A replayed one keeps its place: what is behind it waits until it has come again and is handled.
_RESOLVE: Final = (
    "UPDATE {schema}.dead_letters SET status = $2, resolved_by = $3, resolved_reason = $4, resolved_at = now(),"
    " queue_number = CASE $2 WHEN 'discarded' THEN NULL ELSE queue_number END WHERE dead_letter_id = $1"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of a service's dead letters, with the service. `headers` are as stored_headers.py says."""

    service: str
    dead_letter_id: str
    status: Status
    consumer_group: str
    message_id: str
    message_type: str
    topic: str
    partition_number: int
    message_offset: int
    message_key: bytes | None
    headers: list[list[Any]]
    payload: bytes | None
    cause_code: str
    cause: str
    stack: str
    transfer_ids: list[str]
    attempts: int
    queue_number: int | None
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_by: str | None
    resolved_reason: str | None
    resolved_at: datetime | None


class DeadLetterOffice:
    """The dead letters of all services, over one connection that may read and change each schema."""

    def __init__(self, connection: asyncpg.Connection, asker: Asker) -> None:
        """Use the connection, for whoever asks; `open_office` makes one."""
        self._connection = connection
        self._asker = asker

    async def list_letters(self, service: str | None = None, status: Status | None = None) -> list[DeadLetter]:
        """Return up to 1,000 letters a service, newest first. Raises: NotFound for a service we do not have."""
        if service is not None and service not in SERVICES:
            raise NotFound("service_unknown", f"There is no service {service}; there are {', '.join(SERVICES)}.")
        found: list[DeadLetter] = []
        for schema in [service] if service else await self._schemas():
            async with self._connection.transaction():
                rows = await self._connection.fetch(_LIST.replace("{schema}", schema), status, _LISTED_MAX)
                await self._record(schema, "list", ("service", schema), letters=len(rows))
            found += [_letter(schema, row) for row in rows]
        return sorted(found, key=lambda letter: letter.last_seen_at, reverse=True)

    async def show(self, dead_letter_id: str) -> DeadLetter:
        """Return one letter. Raises: NotFound."""
        async with self._connection.transaction():
            letter = await self._find(_FIND, dead_letter_id)
            await self._record_decision(letter, "read")
        return letter

    async def replay(self, dead_letter_id: str, *, bootstrap: str) -> DeadLetter:
        """Send the message again and mark the letter. Unedited, but for a missing `ce_id`: it gets the letter's.

        So that it is known when it comes again: without a name each coming would be another letter.

        Locks: the row, until the broker has acknowledged, so that a message parked again while we look ends `parked`.
        Raises: NotFound; Conflict `dead_letter_resolved`, `dead_letter_waits`; Unavailable (then nothing is marked).
        """
        async with self._connection.transaction():
            letter = await self._unresolved(dead_letter_id, "replayed")
            if letter.status == "waiting":
                raise Conflict(
                    "dead_letter_waits",
                    f"Dead letter {dead_letter_id} waits for an earlier one of its key, and follows it by itself.",
                )
            await send_again(
                bootstrap,
                RawRecord(
                    topic=letter.topic,
                    partition=letter.partition_number,
                    key=letter.message_key,
                    headers=named(original_headers(letter.headers), letter.message_id),
                    payload=letter.payload,
                ),
            )
            return await self._resolve(letter, "replayed", None)

    async def discard(self, dead_letter_id: str, *, reason: str) -> DeadLetter:
        """Give the message up, for a reason that is kept: it is never handled, and what waits for it goes on.

        Raises: Unprocessable `reason_missing`; NotFound; Conflict `dead_letter_resolved`.
        """
        if not reason.strip() or len(reason) > _REASON_CHARACTERS_MAX:
            raise Unprocessable(
                "reason_missing", f"Say why it is given up, in at most {_REASON_CHARACTERS_MAX} characters; it is kept."
            )
        async with self._connection.transaction():
            return await self._resolve(await self._unresolved(dead_letter_id, "discarded"), "discarded", reason)

    async def _find(self, statement: str, dead_letter_id: str) -> DeadLetter:
        if is_id(dead_letter_id):
            for schema in await self._schemas():
                row = await self._connection.fetchrow(statement.replace("{schema}", schema), dead_letter_id)
                if row is not None:
                    return _letter(schema, row)
        raise NotFound("dead_letter_not_found", f"There is no dead letter {dead_letter_id}.")

    async def _unresolved(self, dead_letter_id: str, wanted: Status) -> DeadLetter:
        letter = await self._find(_LOCK, dead_letter_id)
        # One that was sent again, and for which its key still waits, may have been lost on the way.
        if letter.status not in {"parked", "waiting"} and letter.queue_number is None:
            by = f" by {letter.resolved_by}" if letter.resolved_by else ""
            raise Conflict(
                "dead_letter_resolved",
                f"Dead letter {dead_letter_id} was {letter.status}{by} at {letter.resolved_at}; "
                f"only one that is parked can be {wanted}.",
            )
        return letter

    async def _resolve(self, letter: DeadLetter, status: Status, reason: str | None) -> DeadLetter:
        statement = _RESOLVE.replace("{schema}", letter.service)
        await self._connection.execute(statement, letter.dead_letter_id, status, self._asker.actor_id, reason)
        await self._record_decision(letter, "replay" if status == "replayed" else "discard")
        return await self._find(_FIND, letter.dead_letter_id)

    async def _record_decision(self, letter: DeadLetter, action: str) -> None:
        await self._record(
            letter.service,
            action,
            ("dead_letter", letter.dead_letter_id),
            consumer_group=letter.consumer_group,
            before=letter.status,
            attempts=letter.attempts,
        )

    async def _record(self, service: str, action: str, resource: tuple[str, str], **facts: object) -> None:
        """Write an audit entry in the running transaction, and leave it for the service to tell the collector."""
        now = system_clock()
        entry = new_entry(service, self._asker, f"dead_letter.{action}", at=now, resource=resource, facts=facts)
        await append_entries(self._connection, service, [entry])
        await leave_messages(self._connection, service, [audit_recorded(service, [entry])])

    async def _schemas(self) -> Sequence[str]:
        return [
            service
            for service in SERVICES
            if await self._connection.fetchval("SELECT to_regclass($1)", f"{service}.dead_letters") is not None
        ]


@asynccontextmanager
async def open_office(dsn: str, asker: Asker) -> AsyncIterator[DeadLetterOffice]:
    """Connect as somebody who may see every schema, for whoever asks. Raises: Unavailable."""
    try:
        connection = await asyncpg.connect(
            dsn, timeout=10, server_settings={"application_name": "tallystick-dead-letters"}
        )
    except DATABASE_FAILURES as failure:
        raise (as_unavailable(failure) or failure) from failure
    try:
        yield DeadLetterOffice(connection, asker)
    finally:
        await connection.close()


def _letter(service: str, row: asyncpg.Record) -> DeadLetter:
    values: dict[str, Any] = dict(row)
    values["dead_letter_id"] = str(values["dead_letter_id"])
    values["headers"] = json.loads(values["headers"])
    return DeadLetter(service=service, **values)
