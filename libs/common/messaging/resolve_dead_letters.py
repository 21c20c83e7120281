"""Where people deal with dead letters: look at them, send them again, or give them up. Across all services' tables."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg

from libs.common.contracts.topics import SERVICES
from libs.common.db.failures import DATABASE_FAILURES, as_unavailable
from libs.common.errors import Conflict, NotFound, Unprocessable
from libs.common.ids import is_id
from libs.common.messaging.replay import RawRecord, send_again
from libs.common.messaging.stored_headers import original_headers

Status = Literal["parked", "replayed", "discarded"]

_LISTED_MAX: Final = 1000
_LIST: Final = (
    "SELECT * FROM {schema}.dead_letters WHERE $1::text IS NULL OR status = $1 ORDER BY last_seen_at DESC LIMIT $2"
)
_FIND: Final = "SELECT * FROM {schema}.dead_letters WHERE dead_letter_id = $1"
_LOCK: Final = f"{_FIND} FOR UPDATE"
_RESOLVE: Final = (
    "UPDATE {schema}.dead_letters SET status = $2, resolved_by = $3, resolved_reason = $4, resolved_at = now()"
    " WHERE dead_letter_id = $1"
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
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_by: str | None
    resolved_reason: str | None
    resolved_at: datetime | None


class DeadLetterOffice:
    """The dead letters of all services, over one connection that may read and change each schema."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Use the connection; `open_office` makes one."""
        self._connection = connection

    async def list_letters(self, service: str | None = None, status: Status | None = None) -> list[DeadLetter]:
        """Return up to 1,000 letters a service, newest first. Raises: NotFound for a service we do not have."""
        if service is not None and service not in SERVICES:
            raise NotFound("service_unknown", f"There is no service {service}; there are {', '.join(SERVICES)}.")
        found: list[DeadLetter] = []
        for schema in [service] if service else await self._schemas():
            rows = await self._connection.fetch(_LIST.replace("{schema}", schema), status, _LISTED_MAX)
            found += [_letter(schema, row) for row in rows]
        return sorted(found, key=lambda letter: letter.last_seen_at, reverse=True)

    async def show(self, dead_letter_id: str) -> DeadLetter:
        """Return one letter. Raises: NotFound."""
        return await self._find(_FIND, dead_letter_id)

    async def replay(self, dead_letter_id: str, *, bootstrap: str, by: str) -> DeadLetter:
        """Send the message again and mark the letter. Unedited, but for a missing `ce_id`: it gets the letter's.

        So that it is known when it comes again: without a name each coming would be another letter.

        Locks: the row, until the broker has acknowledged, so that a message parked again while we look ends `parked`.
        Raises: NotFound, Conflict unless it is parked, Unavailable (then nothing is marked).
        """
        async with self._connection.transaction():
            letter = await self._parked(dead_letter_id, "replayed")
            await send_again(
                bootstrap,
                RawRecord(
                    topic=letter.topic,
                    partition=letter.partition_number,
                    key=letter.message_key,
                    headers=_named(original_headers(letter.headers), letter.message_id),
                    payload=letter.payload,
                ),
            )
            await self._resolve(letter, "replayed", by, None)
        return await self.show(dead_letter_id)

    async def discard(self, dead_letter_id: str, *, by: str, reason: str) -> DeadLetter:
        """Give the message up, for a reason that is kept. Raises: Unprocessable, NotFound, Conflict unless parked."""
        if not reason.strip():
            raise Unprocessable("reason_missing", "Say why the message is given up; the reason is kept.")
        async with self._connection.transaction():
            await self._resolve(await self._parked(dead_letter_id, "discarded"), "discarded", by, reason)
        return await self.show(dead_letter_id)

    async def _find(self, statement: str, dead_letter_id: str) -> DeadLetter:
        if is_id(dead_letter_id):
            for schema in await self._schemas():
                row = await self._connection.fetchrow(statement.replace("{schema}", schema), dead_letter_id)
                if row is not None:
                    return _letter(schema, row)
        raise NotFound("dead_letter_not_found", f"There is no dead letter {dead_letter_id}.")

    async def _parked(self, dead_letter_id: str, wanted: Status) -> DeadLetter:
        letter = await self._find(_LOCK, dead_letter_id)
        if letter.status != "parked":
            raise Conflict(
                "dead_letter_resolved",
                f"Dead letter {dead_letter_id} was {letter.status} by {letter.resolved_by} at {letter.resolved_at}; "
                f"only a parked one can be {wanted}.",
            )
        return letter

    async def _resolve(self, letter: DeadLetter, status: Status, by: str, reason: str | None) -> None:
        statement = _RESOLVE.replace("{schema}", letter.service)
        await self._connection.execute(statement, letter.dead_letter_id, status, by, reason)

    async def _schemas(self) -> Sequence[str]:
        return [
            service
            for service in SERVICES
            if await self._connection.fetchval("SELECT to_regclass($1)", f"{service}.dead_letters") is not None
        ]


def _named(headers: list[tuple[str, bytes | None]], message_id: str) -> list[tuple[str, bytes | None]]:
    if any(name == "ce_id" and value for name, value in headers):
        return headers
    return [*((name, value) for name, value in headers if name != "ce_id"), ("ce_id", message_id.encode())]


@asynccontextmanager
async def open_office(dsn: str) -> AsyncIterator[DeadLetterOffice]:
    """Connect as somebody who may see every schema. Raises: Unavailable."""
    try:
        connection = await asyncpg.connect(
            dsn, timeout=10, server_settings={"application_name": "tallystick-dead-letters"}
        )
    except DATABASE_FAILURES as failure:
        raise (as_unavailable(failure) or failure) from failure
    try:
        yield DeadLetterOffice(connection)
    finally:
        await connection.close()


def _letter(service: str, row: asyncpg.Record) -> DeadLetter:
    values: dict[str, Any] = dict(row)
    values["dead_letter_id"] = str(values["dead_letter_id"])
    values["headers"] = json.loads(values["headers"])
    return DeadLetter(service=service, **values)
