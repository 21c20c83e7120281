"""The only place that produces to Kafka. It is given what is committed and hands it to the broker, in order.

One task takes whatever waits and sends it as one batch a topic and partition, many messages to a record: under load
batches grow by themselves.
What the broker did not take is sent again, in its order, as soon as there is a connection; after the third try it is
left to the sweepers, because it may be the message itself that cannot be sent.
aiokafka's `create_batch`/`send_batch` costs a third of its `send` a message; FastStream's `publish_batch` would ignore
the keys. Delivery is at least once: natural keys make the effect once.
"""

import asyncio
import contextlib
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.contracts.topics import ALL_TOPICS, Topic
from libs.common.errors import Unavailable
from libs.common.messaging.batched_record import BATCH_HEADER, pack, share_records
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.topics_admin import MAX_MESSAGE_BYTES, ensure_topics
from libs.common.telemetry.metrics import SEND_FAILURES, SENT_MESSAGES

log = structlog.get_logger()

_BATCH_BYTES: Final = 1024 * 1024
_WAITING_MAX: Final = 50_000
_REQUEST_MS: Final = 5000
_STOP_SECONDS: Final = 5.0
_RECONNECT_SECONDS: Final = 0.3
_VERSION_HEADER: Final = ("ce_specversion", b"1.0")

_TRIES: Final = 3

_Acknowledged = asyncio.Future[None]


@dataclass(slots=True)
class _Waiting:
    """A batch on its way, and who waits for its acknowledgement. `number` counts batches in the order they came."""

    number: int
    batch: Sequence[Outgoing]
    acknowledged: _Acknowledged
    tries_left: int = _TRIES


class Publisher:
    """Sends committed messages. Never raises into the business: what fails is repeated from PostgreSQL."""

    def __init__(
        self, bootstrap: str, *, idempotence: bool, client_id: str, topics: Sequence[Topic] = ALL_TOPICS
    ) -> None:
        """Remember where to send; `start` connects. `topics` is what it may send to, and makes when missing."""
        self._bootstrap = bootstrap
        self._topics = topics
        self._partitions = {topic.name: topic.partitions for topic in topics}
        self._options: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": idempotence,
            "linger_ms": 0,
            "max_batch_size": _BATCH_BYTES,
            "max_request_size": MAX_MESSAGE_BYTES,
            "request_timeout_ms": _REQUEST_MS,
            "retry_backoff_ms": 100,
            "compression_type": None,
        }
        self._waiting: list[_Waiting] = []
        self.waiting_messages = 0
        """How many are queued and not yet with the producer; while the broker is away they only grow."""
        self._numbers = itertools.count()
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        self._broken = False
        self._handed_over: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Connect, making the topics first. Raises: Unavailable."""
        await self._connect()
        self._task = asyncio.create_task(self._pump(), name="publisher")

    async def stop(self) -> None:
        """Send what still waits, within a bound, then disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while self._waiting:  # noqa: ASYNC110 -- once, at the end; an event would cost every batch
                    await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()
        self._fail_waiting()

    def is_connected(self) -> bool:
        """Tell whether the last batch went through, as far as we know."""
        pumping = self._task is not None and not self._task.done()
        return pumping and self._producer is not None and not self._broken

    async def send(self, batch: Sequence[Outgoing]) -> _Acknowledged:
        """Queue committed messages in order. The future resolves when the broker has acknowledged all of them.

        Its exception is Unavailable when delivery failed for good or too much waits already; the messages stay in
        PostgreSQL and a sweeper sends them again.
        """
        acknowledged: _Acknowledged = asyncio.get_running_loop().create_future()
        acknowledged.add_done_callback(_look_at)
        if not batch:
            acknowledged.set_result(None)
        elif self.waiting_messages + len(batch) > _WAITING_MAX:
            acknowledged.set_exception(_undelivered())
        else:
            self._wait(_Waiting(next(self._numbers), batch, acknowledged))
        return acknowledged

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if self._broken:
                    await self._reconnect()
                taken, self._waiting = self._waiting, []
                self.waiting_messages = 0
                await self._hand_over(taken)

    def _wait(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self.waiting_messages += len(waiting.batch)
        self._wake.set()

    async def _hand_over(self, taken: list[_Waiting]) -> None:
        """Give everything taken to the producer; each caller's future follows the batches that carry his messages."""
        by_partition: dict[tuple[str, int], list[Outgoing]] = {}
        for waiting in taken:
            for item in waiting.batch:
                by_partition.setdefault((item.topic, self._partition_of(item)), []).append(item)
        try:
            sent = [
                future
                for (topic, partition), items in by_partition.items()
                for future in await self._send_partition(topic, partition, items)
            ]
        except (KafkaError, OSError, TimeoutError) as failure:
            self._note_failure(failure, taken)
            return
        except asyncio.CancelledError:
            self._note_failure(None, taken)
            raise
        whole = asyncio.gather(*sent)
        self._handed_over.add(whole)
        whole.add_done_callback(lambda done: self._resolve(done, taken))

    def _partition_of(self, item: Outgoing) -> int:
        """Choose the partition of a key: CRC-32 of its UTF-8 bytes, modulo the topic's partitions."""
        count = self._partitions[item.topic]
        return zlib.crc32(item.key.encode()) % count if count > 1 else 0

    async def _send_partition(self, topic: str, partition: int, items: list[Outgoing]) -> list[asyncio.Future[Any]]:
        producer = self._producer
        if producer is None:
            raise KafkaError("not connected")
        sent: list[asyncio.Future[Any]] = []
        builder = producer.create_batch()
        for shared in share_records(items):
            record = _record_of(shared)
            if builder.append(timestamp=None, **record) is None:
                sent.append(await producer.send_batch(builder, topic, partition=partition))
                builder = producer.create_batch()
                builder.append(timestamp=None, **record)
        sent.append(await producer.send_batch(builder, topic, partition=partition))
        SENT_MESSAGES.labels(topic).inc(len(items))
        return sent

    def _resolve(self, whole: asyncio.Future[Any], taken: list[_Waiting]) -> None:
        self._handed_over.discard(whole)
        failure = None if whole.cancelled() else whole.exception()
        if whole.cancelled() or failure is not None:
            self._note_failure(failure, taken)
            return
        for waiting in taken:
            if not waiting.acknowledged.done():
                waiting.acknowledged.set_result(None)

    def _note_failure(self, failure: BaseException | None, taken: list[_Waiting]) -> None:
        self._broken = True
        given_up = failure is None or isinstance(failure, asyncio.CancelledError)
        reason = "given up with its connection" if given_up else repr(failure)
        log.warning("delivery_failed", reason=reason, batches=len(taken))
        for waiting in taken:
            SEND_FAILURES.labels(waiting.batch[0].topic).inc()
            waiting.tries_left -= 1
            if waiting.acknowledged.done():
                continue
            if waiting.tries_left > 0:
                self._wait(waiting)
            else:
                waiting.acknowledged.set_exception(_undelivered())
        self._waiting.sort(key=lambda waiting: waiting.number)
        self._wake.set()

    async def _reconnect(self) -> None:
        # A producer that failed once may stay broken, and one that is merely dropped may still deliver late: stop it.
        await self._disconnect()
        while True:
            try:
                await self._connect()
            except Unavailable:
                await asyncio.sleep(_RECONNECT_SECONDS)
            else:
                return

    async def _connect(self) -> None:
        await ensure_topics(self._bootstrap, self._topics)
        producer = AIOKafkaProducer(**self._options)
        try:
            await producer.start()
        except (KafkaError, OSError, TimeoutError) as failure:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await producer.stop()
            raise Unavailable("broker_unavailable", "The message broker cannot be reached; try again.") from failure
        _brake_metadata_loop(producer)
        self._producer = producer
        self._broken = False

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # An idempotent producer with a pending batch never stops while the broker is away.
        with contextlib.suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
        # What the producer never answered would be in flight for ever, and no sweeper would send it again.
        unanswered = tuple(self._handed_over)
        for whole in unanswered:
            whole.cancel()
        await asyncio.gather(*unanswered, return_exceptions=True)

    def _fail_waiting(self) -> None:
        for waiting in self._waiting:
            if not waiting.acknowledged.done():
                waiting.acknowledged.set_exception(_undelivered())
        self._waiting.clear()


def _brake_metadata_loop(producer: AIOKafkaProducer) -> None:
    """Make a failed metadata update take a moment.

    After a broker stopped in good order aiokafka 0.14 asks for metadata without any pause while a batch is pending:
    a whole core and ten thousand log lines a second.
    """
    original = producer.client._metadata_update  # noqa: SLF001 -- no public hook

    async def patient(*arguments: Any, **options: Any) -> Any:
        updated = await original(*arguments, **options)
        if not updated:
            await asyncio.sleep(0.1)
        return updated

    producer.client._metadata_update = patient  # noqa: SLF001 -- as above


def _record_of(items: Sequence[Outgoing]) -> dict[str, Any]:
    """Return key, value and headers of the record that carries these messages."""
    if len(items) > 1:
        return {"key": None, "value": pack(items), "headers": [BATCH_HEADER]}
    (item,) = items
    headers = [
        _VERSION_HEADER,
        ("ce_id", item.message_id.encode()),
        _text_header("ce_type", item.message_type),
        _text_header("ce_source", item.source),
    ]
    if item.traceparent:
        headers.append(("traceparent", item.traceparent.encode()))
    return {"key": item.key.encode(), "value": item.payload, "headers": headers}


@lru_cache(maxsize=200)
def _text_header(name: str, text: str) -> tuple[str, bytes]:
    return (name, text.encode())


def _undelivered() -> Unavailable:
    return Unavailable("broker_unavailable", "The broker did not acknowledge; the message is kept and sent again.")


def _look_at(acknowledged: _Acknowledged) -> None:
    """Retrieve the exception, so that nobody is warned about a failure that the sweeper repairs."""
    if not acknowledged.cancelled():
        acknowledged.exception()
