"""Reads a record of the bus safely: any bytes may arrive, and none may stop the stream."""

from collections.abc import Callable
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.errors import Malformed
from libs.common.telemetry.traces import read_traceparent

MAX_PAYLOAD_BYTES: Final = 2 * 1024 * 1024

Decode = Callable[[bytes], Message]


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message, decoded, with where it stood. `traceparent` is "" unless its sender had the transfer traced."""

    message: Message
    message_id: str
    key: str
    topic: str
    partition: int
    offset: int
    traceparent: str = ""


class Reader:
    """Decodes the messages of one topic by their `ce_type`."""

    def __init__(self, topic: Topic) -> None:
        """Build one decoder for each message type of the topic."""
        self._decoders: dict[bytes, Decode] = {
            message.TYPE.encode(): msgspec.json.Decoder(message).decode for message in topic.messages
        }

    def read(self, record: ConsumerRecord) -> Received:
        """Return the decoded message.

        Raises: Malformed with code header_missing, payload_missing, message_oversized, message_type_unknown,
        header_unreadable, key_unreadable or payload_unreadable, in that order.
        """
        identity = kind = None
        traceparent = ""
        for name, value in record.headers:
            if name == "ce_type":
                kind = value
            elif name == "ce_id":
                identity = value
            elif name == "traceparent" and value is not None:
                traceparent = read_traceparent(value)
        if identity is None or kind is None:
            raise Malformed("header_missing", "The message has no ce_id or no ce_type, or one of them is null.")
        payload = record.value
        if payload is None:
            raise Malformed("payload_missing", "The message has no payload.")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise Malformed("message_oversized", f"The payload is above {MAX_PAYLOAD_BYTES} bytes.")
        decode = self._decoders.get(kind)
        if decode is None:
            raise Malformed("message_type_unknown", "The message's ce_type does not belong to this topic.")
        message_id = _text(identity, "header_unreadable", "The ce_id is not UTF-8.")
        key = "" if record.key is None else _text(record.key, "key_unreadable", "The key is not UTF-8.")
        try:
            message = decode(payload)
        # Beside what msgspec says itself: text that is no UTF-8, and arrays nested deeper than the stack.
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
            raise Malformed("payload_unreadable", f"The payload is not what its type says: {failure}") from failure
        return Received(
            message=message,
            message_id=message_id,
            key=key,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            traceparent=traceparent,
        )


def _text(value: bytes, code: str, detail: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as failure:
        raise Malformed(code, detail) from failure


def identify(record: ConsumerRecord) -> tuple[str, str]:
    """Return (message id, type) of a record that could not be read, as far as its headers allow.

    Without a usable `ce_id` the place and time on the bus stand for it; the time, because a broker that forgot
    everything counts its offsets from the beginning again.
    """
    identity = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
    kind = "unknown"
    for name, value in record.headers:
        if value is None:
            continue
        text = bytes(value).decode("utf-8", "replace").replace("\x00", "")[:200]
        if name == "ce_id" and text:
            identity = text
        elif name == "ce_type" and text:
            kind = text
    return identity, kind
