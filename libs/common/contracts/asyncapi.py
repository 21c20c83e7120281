"""The whole bus as one AsyncAPI 3.0 document: channels are topics, messages carry CloudEvents headers (binary mode).

Who sends is the topic's owner. Who receives is read from the tree: a service hears a message when it has a consumer of
that name, `services/<service>/consumers/on_<message>.py`; what has one in `libs/common/http/` every service hears.
"""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.contracts.base import Message
from libs.common.contracts.topics import ALL_TOPICS, SERVICES, Topic

_CONTENT_TYPE: Final = "application/json"
_BINDING_VERSION: Final = "0.5.0"


def asyncapi_document(services: Path) -> dict[str, Any]:
    """Return the document; `services` is the folder whose consumers tell who receives."""
    keys = {message: topic.key for topic in ALL_TOPICS for message in topic.messages}
    messages = sorted(keys, key=lambda message: message.__name__)
    _, schemas = schemas_of(messages, "#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tallystick's bus",
            "version": "1.0.0",
            "description": "What the services say to each other. A new optional field keeps a message's version; "
            "anything else makes a new topic. Delivery is at least once, in order within a key. Messages sent together "
            "share a record: header content-type is application/cloudevents-batch+json, the value a CloudEvents JSON "
            "batch, in which partitionkey is the message's key.",
        },
        "defaultContentType": _CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in ALL_TOPICS},
        "operations": {name: operation for topic in ALL_TOPICS for name, operation in _operations(topic, services)},
        "components": {
            "messages": {message.__name__: _message(message, keys[message]) for message in messages},
            "schemas": schemas,
        },
    }


def schemas_of(messages: Sequence[type[Message]], ref_template: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return (references to the messages, name → schema of everything they are made of), sorted by name."""
    references, schemas = msgspec.json.schema_components(messages, ref_template=ref_template)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return list(references), dict(sorted(schemas.items()))


def consumer_file(message: type[Message]) -> str:
    """Return the name of the file that hears a message: `TransferScreened` is heard by `on_transfer_screened.py`."""
    return f"on_{re.sub(r'(?<!^)(?=[A-Z])', '_', message.__name__).lower()}.py"


def receivers(topic: Topic, services: Path) -> dict[str, list[type[Message]]]:
    """Return service → the topic's messages it hears, sorted by service; empty for a topic that is not for services."""
    if topic.unheard_because:
        return {}
    found: dict[str, list[type[Message]]] = {}
    for message in topic.messages:
        name = consumer_file(message)
        shared = (services.parent / "libs" / "common" / "http" / name).exists()
        hearing = SERVICES if shared else [path.parts[-3] for path in services.glob(f"*/consumers/{name}")]
        for service in hearing:
            found.setdefault(service, []).append(message)
    return dict(sorted(found.items()))


def _channel(topic: Topic) -> dict[str, Any]:
    unheard = f" No service hears it: {topic.unheard_because}." if topic.unheard_because else ""
    parked = f"wait, because {topic.waits_because}" if topic.waits_because else "go on"
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"Keyed by `{topic.key}`: {topic.why}.{unheard} "
        f"While a message is parked, later ones of its key {parked}.",
        "messages": {
            message.__name__: {"$ref": f"#/components/messages/{message.__name__}"} for message in topic.messages
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"retention.ms": topic.retention_ms},
                "bindingVersion": _BINDING_VERSION,
            }
        },
        "x-after-parking": "wait" if topic.waits_because else "go-on",
    }


def _operations(topic: Topic, services: Path) -> list[tuple[str, dict[str, Any]]]:
    sends = (f"{topic.owner}.sends.{topic.name}", _operation("send", topic, topic.owner, list(topic.messages)))
    return [
        sends,
        *(
            (f"{service}.receives.{topic.name}", _operation("receive", topic, service, heard))
            for service, heard in receivers(topic, services).items()
        ),
    ]


def _operation(action: str, topic: Topic, service: str, messages: list[type[Message]]) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{message.__name__}"} for message in messages],
    }


def _message(message: type[Message], key: str) -> dict[str, Any]:
    return {
        "name": message.TYPE,
        "title": message.__name__,
        "summary": (message.__doc__ or "").partition("\n")[0],
        "contentType": _CONTENT_TYPE,
        "headers": _headers(message),
        "payload": {"$ref": f"#/components/schemas/{message.__name__}"},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING_VERSION},
        },
    }


def _headers(message: type[Message]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "description": "The same at every repetition of one message."},
            "ce_type": {"const": message.TYPE},
            "ce_source": {"type": "string", "description": "The service that owns the topic."},
            "traceparent": {"type": "string", "description": "W3C Trace Context, only of a transfer that is traced."},
        },
    }
