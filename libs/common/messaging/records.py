"""Reads a record of the bus safely: any bytes may arrive, and none may stop the stream."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.errors import Malformed
from libs.common.messaging.batched_record import UNREADABLE, Event, is_batched, stand_alone, unpack
from libs.common.telemetry.traces import read_traceparent

MAX_PAYLOAD_BYTES: Final = 2 * 1024 * 1024

Decode = Callable[[bytes | msgspec.Raw], Message]
Place = tuple[str, bytes]
"""A topic, and a key of it; the key is empty where there is none, and so no order."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message, decoded. `traceparent` is "" unless its sender had the transfer traced.

    `record` is what brought it, `event` what it was in the record's batch, None for a record of its own.
    """

    message: Message
    record: ConsumerRecord[Any, Any]
    event: Event | None = None
    traceparent: str = ""

    def as_record(self) -> ConsumerRecord[Any, Any]:
        """Return the message as a record of its own."""
        return self.record if self.event is None else stand_alone(self.record, self.event)

    @property
    def message_id(self) -> str:
        """The id by which its dead letter would know it."""
        return identify(self.record)[0] if self.event is None else _shown(self.event.id)

    @property
    def place(self) -> Place:
        """The key it has its order in."""
        return place_of(self.record) if self.event is None else (self.record.topic, self.event.partitionkey.encode())


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A message that cannot be read, as a record of its own, and why; or a whole record that no batch is found in."""

    record: ConsumerRecord[Any, Any]
    cause: Malformed


class Reader:
    """Decodes the messages of one topic by their `ce_type`."""

    def __init__(self, topic: Topic) -> None:
        """Build one decoder for each message type of the topic."""
        self._decoders: dict[str, Decode] = {
            message.TYPE: msgspec.json.Decoder(message).decode for message in topic.messages
        }

    def read(self, record: ConsumerRecord[Any, Any]) -> list[Received | Unreadable]:
        """Return what the record carries, in its order, each message read or with the reason why it cannot be.

        The reasons are header_missing, payload_missing, message_oversized, message_type_unknown, header_unreadable,
        key_unreadable and payload_unreadable.
        """
        try:
            if is_batched(record):
                return self._read_batch(record)
            return [self._read_one(record)]
        except Malformed as cause:
            return [Unreadable(record, cause)]

    def _read_batch(self, record: ConsumerRecord[Any, Any]) -> list[Received | Unreadable]:
        payload = _payload_of(record)
        try:
            events = unpack(payload)
        except UNREADABLE as failure:
            raise _unreadable(failure) from failure
        found: list[Received | Unreadable] = []
        for event in events:
            try:
                message = self._decode(event.type, event.data)
            except Malformed as cause:
                found.append(Unreadable(stand_alone(record, event), cause))
                continue
            traceparent = read_traceparent(event.traceparent.encode()) if event.traceparent else ""
            found.append(Received(message, record, event, traceparent))
        return found

    def _read_one(self, record: ConsumerRecord[Any, Any]) -> Received:
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
        payload = _payload_of(record)
        _require_text(identity, "header_unreadable", "The ce_id is not UTF-8.")
        _require_text(record.key or b"", "key_unreadable", "The key is not UTF-8.")
        return Received(self._decode(kind.decode("utf-8", "replace"), payload), record, None, traceparent)

    def _decode(self, kind: str, payload: bytes | msgspec.Raw) -> Message:
        decode = self._decoders.get(kind)
        if decode is None:
            raise Malformed("message_type_unknown", "The message's ce_type does not belong to this topic.")
        try:
            return decode(payload)
        except UNREADABLE as failure:
            raise _unreadable(failure) from failure


class Glimpse(NamedTuple):
    """A message as a tip reader sees it: its key, and its payload not yet decoded."""

    key: str
    payload: bytes | msgspec.Raw


def glimpses(record: ConsumerRecord[Any, Any]) -> list[Glimpse]:
    """Return what a record carries without decoding it; nothing of one that no batch is found in."""
    payload = record.value or b""
    if not is_batched(record):
        return [Glimpse((record.key or b"").decode("utf-8", "replace"), payload)]
    try:
        return [Glimpse(event.partitionkey, event.data) for event in unpack(payload)]
    except UNREADABLE:
        return []


def _payload_of(record: ConsumerRecord[Any, Any]) -> bytes:
    payload: bytes | None = record.value
    if payload is None:
        raise Malformed("payload_missing", "The message has no payload.")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed("message_oversized", f"The payload is above {MAX_PAYLOAD_BYTES} bytes.")
    return payload


def _unreadable(failure: Exception) -> Malformed:
    return Malformed("payload_unreadable", f"The payload is not what its type says: {failure}")


def _require_text(value: bytes, code: str, detail: str) -> None:
    try:
        value.decode()
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
        text = _shown(bytes(value).decode("utf-8", "replace"))
        if name == "ce_id" and text:
            identity = text
        elif name == "ce_type" and text:
            kind = text
    return identity, kind


def place_of(record: ConsumerRecord[Any, Any]) -> Place:
    """Return the key that a record of its own has its order in."""
    return (record.topic, record.key or b"")


def _shown(text: str) -> str:
    return text.replace("\x00", "")[:200]
