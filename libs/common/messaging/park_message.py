"""Parking: a message that can never be processed is kept with its cause, said aloud, and the stream goes on."""

import json
import traceback
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiokafka import ConsumerRecord

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.base import Message
from libs.common.contracts.dead_letters import MessageParked
from libs.common.contracts.fraud import HoldResolved, TransferBatchScreened, TransferScreened
from libs.common.contracts.gateway import TransferBatchRequested, TransferRequested
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.topics import dead_letters_of
from libs.common.db.hot import HotConnection
from libs.common.errors import TallystickError
from libs.common.ids import new_id
from libs.common.invariants import check
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.standing_letters import StandingLetters
from libs.common.messaging.stored_headers import stored_headers

_STACK_CHARACTERS: Final = 8000
_CAUSE_CHARACTERS: Final = 1000

WAITING_MAX: Final = 1000
"""Most letters of one key's queue: a sender who goes on and on must not fill the table unseen."""

# Who was first seen last stands last in its key's queue, for as long as it is in it. A message that was given up stays
# so: whoever sends it again cannot know.
_UPSERT: Final = """
INSERT INTO {schema}.dead_letters AS d (dead_letter_id, consumer_group, message_id, topic, partition_number,
    message_offset, message_key, message_type, headers, payload, cause_code, cause, stack, transfer_ids, status,
    queue_number)
VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9::jsonb,$10,$11,$12,$13,$14,$15, CASE WHEN $16 THEN (
    SELECT coalesce(max(q.queue_number), 0) + 1 FROM {schema}.dead_letters q
    WHERE q.consumer_group = $2 AND q.topic = $4 AND q.message_key = $7 AND q.queue_number IS NOT NULL) END)
ON CONFLICT ON CONSTRAINT dead_letters_message_unique DO UPDATE SET attempts = d.attempts + 1,
    last_seen_at = now(), cause_code = EXCLUDED.cause_code, cause = EXCLUDED.cause, stack = EXCLUDED.stack,
    topic = EXCLUDED.topic, partition_number = EXCLUDED.partition_number, message_offset = EXCLUDED.message_offset,
    status = CASE d.status WHEN 'discarded' THEN d.status ELSE EXCLUDED.status END,
    queue_number = CASE d.status WHEN 'discarded' THEN NULL ELSE coalesce(d.queue_number, EXCLUDED.queue_number) END,
    resolved_by = CASE d.status WHEN 'discarded' THEN d.resolved_by END,
    resolved_at = CASE d.status WHEN 'discarded' THEN d.resolved_at END
RETURNING dead_letter_id::text, status
"""
_LENGTH: Final = (
    "SELECT count(*) FROM {schema}.dead_letters WHERE consumer_group = $1 AND topic = $2 AND message_key = $3"
    " AND queue_number IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Parked:
    """A message to be set aside: the record as it came, what was read of it, and why it cannot go on.

    `keeps_order`: later ones of its key wait for it. `waits`: it is itself one of those; nothing is wrong with it.
    """

    record: ConsumerRecord
    message_id: str
    message_type: str
    message: Message | None
    cause: BaseException
    keeps_order: bool = False
    waits: bool = False


class DeadLetters:
    """The dead letters of one service: a row per message and group, written together with the event that says so."""

    def __init__(self, service: str, connection: HotConnection, outbox: Outbox, clock: Clock) -> None:
        """Use a connection that nothing hot waits for."""
        self._connection = connection
        self._outbox = outbox
        self._clock = clock
        self._topic = dead_letters_of(service)
        self._upsert = _UPSERT.replace("{schema}", service)
        self._length = _LENGTH.replace("{schema}", service)
        self.standing = StandingLetters(service, connection)

    async def park(self, group: str, parked: Parked) -> bool:
        """Keep the message and say so on the bus; return False when it was given up before, and stays so.

        Idempotent by: (group, message id); parking again counts an attempt. Emits: MessageParked. Raises: Unavailable;
        InvariantBroken when too many wait for the same message.
        """
        record = parked.record
        ids = transfer_ids_of(parked.message)
        async with self._connection.transaction() as connection:
            dead_letter_id, status = await self._write(connection, group, parked, ids)
            if status == "discarded":
                return False
            event = MessageParked(
                dead_letter_id=dead_letter_id,
                group=group,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                message_type=parked.message_type,
                cause=_cause_code(parked.cause),
                transfer_ids=ids,
                occurred_at=to_rfc3339(self._clock()),
            )
            row = self._outbox.row([outgoing(self._topic, dead_letter_id, event)])
            await self._outbox.insert(connection, row)
        await self._outbox.publish(row)
        return True

    async def _write(
        self, connection: asyncpg.Connection, group: str, parked: Parked, ids: tuple[str, ...]
    ) -> tuple[str, str]:
        """Write the row and return its id and status."""
        record = parked.record
        if parked.waits:
            length = await connection.fetchval(self._length, group, record.topic, record.key)
            check(length < WAITING_MAX, "few messages wait for one that is parked", group=group, length=length)
        stack = "".join(traceback.format_exception(parked.cause))
        dead_letter_id, status = await connection.fetchrow(
            self._upsert,
            new_id(),
            group,
            parked.message_id,
            record.topic,
            record.partition,
            record.offset,
            record.key,
            parked.message_type,
            json.dumps(stored_headers(record.headers)),
            record.value,
            _cause_code(parked.cause),
            _storable(str(parked.cause))[:_CAUSE_CHARACTERS],
            _storable(stack)[-_STACK_CHARACTERS:],
            list(ids),
            "waiting" if parked.waits else "parked",
            parked.keeps_order,
        )
        return dead_letter_id, status


def transfer_ids_of(message: Message | None) -> tuple[str, ...]:
    """Return the ids of the transfers a message speaks of, none when it could not be read."""
    match message:
        case TransferRequested() | TransferScreened() | HoldResolved():
            return (message.command.transfer_id,)
        case TransferBatchRequested():
            return tuple(command.transfer_id for command in message.commands)
        case TransferBatchScreened():
            return tuple(screening.command.transfer_id for screening in message.screenings)
        case TransferChanged():
            return (message.transfer_id,)
        case _:
            return ()


def _cause_code(cause: BaseException) -> str:
    return cause.code if isinstance(cause, TallystickError) else type(cause).__name__


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
