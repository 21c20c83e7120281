"""A message ready to be sent: encoded once, kept as bytes from then on."""

import msgspec

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.ids import new_id

_encode = msgspec.json.Encoder().encode


class Outgoing(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where it goes, under which key, and what. `message_id` is the CloudEvents id, the same at every repetition.

    `traceparent` is set for a traced transfer alone (W3C Trace Context); a stored row says nothing of it otherwise.
    """

    topic: str
    key: str
    message_id: str
    message_type: str
    source: str
    payload: bytes
    traceparent: str = ""


def outgoing(
    topic: Topic, key: str, message: Message, message_id: str | None = None, *, traceparent: str = ""
) -> Outgoing:
    """Encode a message for its topic. The source is the topic's owner, since each topic has one writer."""
    return Outgoing(
        topic=topic.name,
        key=key,
        message_id=message_id or new_id(),
        message_type=message.TYPE,
        source=topic.owner,
        payload=_encode(message),
        traceparent=traceparent,
    )
