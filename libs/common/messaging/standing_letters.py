"""What the dead letters of a group forbid it to handle now, as the consumer remembers it and as the table says.

On a topic whose contract says so, later messages of a key wait while one is parked. They make a queue: the letters of
the key whose `queue_number` is set, in its order. Its head alone may be handled, whoever sends it again; what is behind
it follows by itself, once the head is handled or given up.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord

from libs.common.db.hot import HotConnection
from libs.common.invariants import check
from libs.common.messaging.records import Place, Received
from libs.common.messaging.stored_headers import named, original_headers

_REMEMBERED_MAX: Final = 10_000

# The letter that is first in its key's queue; its payload only if the consumer goes on with it by itself.
_HEAD_COLUMNS: Final = (
    "topic, message_key, message_id, status, partition_number, message_offset, headers,"
    " CASE WHEN status = 'waiting' THEN payload END AS payload"
)
_HEADS: Final = (
    "SELECT DISTINCT ON (topic, message_key) " + _HEAD_COLUMNS + " FROM {schema}.dead_letters"  # noqa: S608 -- the schema's name stands in the code
    " WHERE consumer_group = $1 AND queue_number IS NOT NULL"
    " ORDER BY topic, message_key, queue_number, dead_letter_id LIMIT $2"
)
_HEAD: Final = (
    "SELECT " + _HEAD_COLUMNS + " FROM {schema}.dead_letters"  # noqa: S608 -- as above
    " WHERE consumer_group = $1 AND queue_number IS NOT NULL AND topic = $2 AND message_key = $3"
    " ORDER BY queue_number, dead_letter_id LIMIT 1"
)
_IDS: Final = (
    "SELECT message_id FROM {schema}.dead_letters WHERE consumer_group = $1 AND status = $2"
    " ORDER BY first_seen_at DESC LIMIT $3"
)
_UNRESOLVED: Final = (
    "SELECT consumer_group, extract(epoch FROM now() - min(first_seen_at) FILTER (WHERE status <> 'discarded'))::float8"
    " FROM {schema}.dead_letters WHERE status IN ('parked', 'waiting', 'discarded') OR queue_number IS NOT NULL"
    " GROUP BY consumer_group"
)
_HANDLED: Final = (
    "UPDATE {schema}.dead_letters SET queue_number = NULL, resolved_at = coalesce(resolved_at, now()),"
    " status = CASE status WHEN 'replayed' THEN status ELSE 'handled' END"
    " WHERE consumer_group = $1 AND message_id = ANY($2::text[]) AND status IN ('parked', 'waiting', 'replayed')"
)


class Head(NamedTuple):
    """The first of a key's queue. `record` is what to handle when it only waits, which `may_go_on` says."""

    place: Place
    message_id: str
    may_go_on: bool
    record: ConsumerRecord[Any, Any]


@dataclass
class Standing:
    """What a group's letters say, as far as the consumer must know it for every message: mostly nothing."""

    heads: dict[Place, str] = field(default_factory=dict)
    """Key with a queue → message id of its head."""
    unhandled: set[str] = field(default_factory=set)
    """Ids of parked messages: if one is handled after all, its letter says so. The newest 10,000."""
    given_up: set[str] = field(default_factory=set)
    """Ids of discarded messages, which must not be handled, whoever sends them again. The newest 10,000."""

    def is_empty(self) -> bool:
        """Tell whether every message may be handled and no letter follows from it."""
        return not (self.heads or self.unhandled or self.given_up)

    def waits(self, received: Received) -> bool:
        """Tell whether another message of its key comes first."""
        head = self.heads.get(received.place)
        return head is not None and head != received.message_id


class StandingLetters:
    """Reads and ends what stands in a service's table of dead letters."""

    def __init__(self, service: str, connection: HotConnection) -> None:
        """Use the connection of the dead letters."""
        self._connection = connection
        self._heads = _HEADS.replace("{schema}", service)
        self._head = _HEAD.replace("{schema}", service)
        self._ids = _IDS.replace("{schema}", service)
        self._unresolved = _UNRESOLVED.replace("{schema}", service)
        self._handled = _HANDLED.replace("{schema}", service)

    async def load(self, group: str) -> tuple[Standing, list[Head]]:
        """Return what stands, and every queue's head. Raises: Unavailable; InvariantBroken for too many queues."""
        async with self._connection.autocommit() as connection:
            rows = await connection.fetch(self._heads, group, _REMEMBERED_MAX + 1)
            unhandled = await connection.fetch(self._ids, group, "parked", _REMEMBERED_MAX)
            given_up = await connection.fetch(self._ids, group, "discarded", _REMEMBERED_MAX)
        check(len(rows) <= _REMEMBERED_MAX, "the keys that wait for a parked message are few", group=group)
        heads = [_head_of(row) for row in rows]
        standing = Standing(
            heads={head.place: head.message_id for head in heads},
            unhandled={row[0] for row in unhandled},
            given_up={row[0] for row in given_up},
        )
        return standing, heads

    async def measure(self) -> dict[str, float]:
        """Return group → how many seconds ago the oldest message that waits for people first failed; 0 if none does.

        Only groups of which something stands in the table that they must know. Raises: Unavailable.
        """
        async with self._connection.autocommit() as connection:
            rows = await connection.fetch(self._unresolved)
        return {group: max(0.0, seconds or 0.0) for group, seconds in rows}

    async def end(self, group: str, message_ids: Sequence[str]) -> None:
        """Note that parked messages were handled after all. Idempotent by: message id. Raises: Unavailable."""
        async with self._connection.autocommit() as connection:
            await connection.execute(self._handled, group, message_ids)

    async def head_of(self, group: str, place: Place) -> Head | None:
        """Return who is first in the key's queue now, None when there is none left. Raises: Unavailable."""
        async with self._connection.autocommit() as connection:
            row = await connection.fetchrow(self._head, group, *place)
        return None if row is None else _head_of(row)


def _head_of(row: Any) -> Head:
    record = ConsumerRecord(
        topic=row["topic"],
        partition=row["partition_number"],
        offset=row["message_offset"],
        timestamp=0,
        timestamp_type=0,
        key=row["message_key"],
        value=row["payload"],
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple(named(original_headers(json.loads(row["headers"])), row["message_id"])),
    )
    return Head((row["topic"], row["message_key"]), row["message_id"], row["status"] == "waiting", record)
