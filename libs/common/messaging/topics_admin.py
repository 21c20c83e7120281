"""Makes sure that this system's topics exist, now and again: a broker may have forgotten them."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.common.contracts.topics import Topic
from libs.common.errors import Unavailable

log = structlog.get_logger()

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Kafka's own default, 1 MiB, would refuse an atomic batch of 1,000 transfers with its screenings."""
_WATCH_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.3
_REQUEST_MS: Final = 5000


async def ensure_topics(bootstrap: str, topics: Sequence[Topic]) -> list[str]:
    """Create what is missing and return its names. Raises: Unavailable when no broker answers.

    Every process does this whenever it connects; a topic that another one made meanwhile is fine.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS)
    try:
        await admin.start()
        return await _create_missing(admin, topics)
    except (KafkaError, OSError, TimeoutError) as failure:
        raise Unavailable("broker_unavailable", "The message broker cannot be reached; try again.") from failure
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()


async def _create_missing(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[str]:
    known = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in known]
    if missing:
        response = await admin.create_topics([_as_new(topic) for topic in missing], timeout_ms=_REQUEST_MS)
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(name)
    return [topic.name for topic in missing]


def _as_new(topic: Topic) -> NewTopic:
    settings = {"retention.ms": str(topic.retention_ms), "max.message.bytes": str(MAX_MESSAGE_BYTES)}
    new = NewTopic(topic.name, topic.partitions, 1, topic_configs=settings)
    # The broker's own default, three in production and one here (KIP-464); the constructor refuses to be told so.
    new.replication_factor = -1
    return new


async def watch_topics(bootstrap: str, topics: Sequence[Topic]) -> None:
    """Look every second whether the topics are still there, and make those that are not. Runs until cancelled.

    One client looks for as long as the broker answers it: connecting each time cost 3% of a service's CPU.
    """
    was_away = False
    # The publisher has just looked; and cut off while it connects, as by a stop right after the start, aiokafka would
    # leave the connection open.
    await asyncio.sleep(_WATCH_SECONDS)
    while True:
        try:
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS)
            try:
                await admin.start()
                while True:
                    made = await _create_missing(admin, topics)
                    if was_away:
                        log.warning("broker_back", topics_made_again=made)
                    elif made:
                        log.warning("topics_made_again", topics=made)
                    was_away = False
                    await asyncio.sleep(_WATCH_SECONDS)
            finally:
                with contextlib.suppress(KafkaError, OSError):
                    await admin.close()
        except (KafkaError, OSError, TimeoutError) as failure:
            if not was_away:
                log.warning("broker_away", bootstrap=bootstrap, error=repr(failure))
            was_away = True
            await asyncio.sleep(_RETRY_SECONDS)
