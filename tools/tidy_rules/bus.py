"""The bus has one door: what leaves or enters elsewhere escapes the delivery guarantees."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation

DOOR = "libs/common/messaging"
PRODUCING = {"AIOKafkaProducer", "send_and_wait", "send_batch", "create_batch", "publisher"}
CONSUMING = {"AIOKafkaConsumer", "subscriber", "getmany", "getone"}
# FastStream's defaults acknowledge before the handler runs and lose what it could not do.
OPTIONS = {"ack_policy", "auto_offset_reset", "group_id", "no_reply"}


def produce_outside_messaging(source: Source) -> Iterator[Violation]:
    """Refuse Kafka's producing calls outside the door, and FastStream's keyless `publish_batch` everywhere."""
    if not source.is_product:
        return
    outside = not source.lies_in(DOOR)
    for call, name in _calls(source):
        if name == "publish_batch":
            yield Violation(call.lineno, "`publish_batch` ignores keys, so order is lost")
        elif outside and name in PRODUCING:
            yield Violation(call.lineno, f"`{name}` produces: only {DOOR} does, after the commit, from the outbox")


def consume_outside_messaging(source: Source) -> Iterator[Violation]:
    """Refuse Kafka's consuming calls outside the door."""
    if not source.is_product or source.lies_in(DOOR):
        return
    for call, name in _calls(source):
        if name in CONSUMING:
            yield Violation(
                call.lineno, f"`{name}` consumes: only {DOOR} does, so that one place retries, parks, commits"
            )


def subscriber_options(source: Source) -> Iterator[Violation]:
    """Refuse a subscriber that leaves an option about losing messages to its default."""
    if not source.is_product:
        return
    for call, name in _calls(source):
        missing = sorted(OPTIONS - {keyword.arg for keyword in call.keywords if keyword.arg})
        if name == "subscriber" and missing:
            yield Violation(call.lineno, f"write out {', '.join(missing)}: the defaults lose messages")


def _calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name)):
                yield node, name
            case ast.Call(func=ast.Name(id=name)) if name[
                0
            ].isupper():  # a class; a local `subscriber(…)` is no broker's
                yield node, name
