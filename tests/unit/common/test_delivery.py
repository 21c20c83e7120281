"""What delivery decides about one poll's records, with a consumer and dead letters made of lists.

Offsets, rebalances and crashes need a broker: tests/integration/messaging.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import msgspec
import pytest
from aiokafka import ConsumerRecord, TopicPartition

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.errors import Rejected
from libs.common.messaging.delivery import Delivery, Subscription
from libs.common.messaging.park_message import DeadLetters, Parked
from libs.common.messaging.records import Received
from libs.common.messaging.standing_letters import Head, Standing, StandingLetters


class Noted(Message, frozen=True, gc=False, kw_only=True):
    TYPE: ClassVar[str] = "tallystick.test.noted.v1"
    number: int


TOPIC = Topic("test.notes.v1", "test", "number", "it is a test", (Noted,))
MINE = TopicPartition(TOPIC.name, 0)


class NothingStands(StandingLetters):
    """The table of dead letters, in which nothing stands."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def load(self, group: str) -> tuple[Standing, list[Head]]:
        return Standing(), []

    async def end(self, group: str, message_ids: Sequence[str]) -> None:
        self.ended += message_ids


class Story(DeadLetters):
    """Everything that happened, in order; takes the place of the dead letters, of the handler and of the consumer."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refused: set[int] = set()
        self.standing = NothingStands()

    async def park(self, group: str, parked: Parked) -> bool:
        self.told.append(f"parked {parked.record.offset}")
        return True

    async def handle(self, batch: Sequence[Received]) -> None:
        numbers = [received.message.number for received in batch if isinstance(received.message, Noted)]
        if self.refused & set(numbers):
            raise Rejected("refused", "No.")
        self.told.append(f"did {numbers}")

    def assignment(self) -> set[TopicPartition]:
        return {MINE}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.told.append(f"sought {offset}")

    def highwater(self, partition: TopicPartition) -> None:
        return None

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.told.append(f"committed {offsets[MINE]}")


def record(offset: int, payload: bytes | None = None) -> ConsumerRecord[Any, Any]:
    headers = (("ce_id", b"%d" % offset), ("ce_type", Noted.TYPE.encode()))
    value = msgspec.json.encode(Noted(number=offset)) if payload is None else payload
    return ConsumerRecord(TOPIC.name, 0, offset, 0, 0, b"key", value, None, 3, len(value), headers)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
async def delivery(story: Story) -> Delivery:
    made = Delivery(Subscription("test.note", TOPIC, story.handle), story)
    made._consumer_of = lambda: cast("Any", story)
    await made.on_partitions_assigned([MINE])
    return made


async def test_what_came_before_an_unreadable_message_is_done_before_it_is_parked(
    delivery: Delivery, story: Story
) -> None:
    await delivery.on_batch([record(1), record(2), record(3, b"no json"), record(4)])
    assert story.told == ["did [1, 2]", "parked 3", "did [4]"]


async def test_a_guilty_message_is_found_by_halving_and_the_others_keep_their_order(
    delivery: Delivery, story: Story
) -> None:
    story.refused = {3}
    await delivery.on_batch([record(offset) for offset in range(8)])
    assert story.told == ["did [0, 1]", "did [2]", "parked 3", "did [4, 5, 6, 7]"]


async def test_records_of_a_partition_that_was_just_revoked_are_left_to_its_next_owner(
    delivery: Delivery, story: Story
) -> None:
    await delivery.on_partitions_revoked([MINE])
    await delivery.on_batch([record(1), record(2)])
    assert story.told == ["sought 1"]

    await delivery.on_partitions_assigned([MINE])
    await delivery.on_batch([record(1), record(2)])
    assert story.told[1:] == ["did [1, 2]"]


async def test_revoking_acknowledges_what_is_done(delivery: Delivery, story: Story) -> None:
    await delivery.on_batch([record(1), record(2)])
    await delivery.on_partitions_revoked([MINE])
    assert story.told == ["did [1, 2]", "committed 3"]


async def test_while_one_after_the_other_is_parked_nothing_is_acknowledged(delivery: Delivery, story: Story) -> None:
    await delivery.on_batch([record(1)])
    await delivery.on_batch([record(2), record(3, b"no json")])
    await delivery.on_batch([record(4, b"no json")])
    await delivery._commit()
    assert story.told[-1] == "committed 2"
    await delivery.on_batch([record(5)])
    await delivery._commit()
    assert story.told[-1] == "committed 6"


async def test_what_was_parked_and_is_handled_when_it_comes_again_is_no_open_letter_any_more(
    delivery: Delivery, story: Story
) -> None:
    story.refused = {1}
    await delivery.on_batch([record(1), record(2)])
    story.refused = set()
    await delivery.on_batch([record(1), record(2)])
    assert story.told == ["parked 1", "did [2]", "did [1, 2]"]
    assert isinstance(story.standing, NothingStands)
    assert story.standing.ended == ["1"]


async def test_after_draining_nothing_is_begun_or_acknowledged(
    delivery: Delivery, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.messaging.delivery._LONGEST_PAUSE_SECONDS", 0.01)
    await delivery.on_batch([record(1)])
    await delivery.drain(within_seconds=30)
    await delivery.on_batch([record(2)])
    await delivery.on_partitions_revoked([MINE])
    assert story.told == ["did [1]", "committed 2"]
