"""Each message stays readable as it was once written: golden/<ce_type>.json is what a producer sent, byte for byte.

A golden file is never edited. A message that changes gets a new version, and with it a file of its own; the old one
stays as long as such messages may still lie on a bus or in a table.
"""

import json
from pathlib import Path

import msgspec
import pytest

from libs.common.contracts.base import Message
from libs.common.contracts.export import all_messages
from libs.common.contracts.gateway import TransferRequested
from libs.common.contracts.transfers import TransferCommand

GOLDEN = Path(__file__).parent / "golden"
EVERY_MESSAGE = pytest.mark.parametrize("message", all_messages(), ids=lambda message: str(message.TYPE))


GOLDEN_ID = "01a2b3c4-0000-7000-8000-000000000001"


def golden(message: type[Message]) -> bytes:
    return (GOLDEN / f"{message.TYPE}.json").read_bytes().rstrip(b"\n")


def test_every_message_has_a_golden_file_and_every_golden_file_a_message() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {message.TYPE for message in all_messages()}


@EVERY_MESSAGE
def test_what_was_written_once_is_read_and_written_alike(message: type[Message]) -> None:
    read = msgspec.json.decode(golden(message), type=message)
    assert msgspec.json.encode(read) == golden(message)


@EVERY_MESSAGE
def test_a_consumer_ignores_a_field_it_does_not_know(message: type[Message]) -> None:
    newer = json.dumps({**json.loads(golden(message)), "added_later": {"by": ["a", "newer", "producer"]}}).encode()
    assert msgspec.json.decode(newer, type=message) == msgspec.json.decode(golden(message), type=message)


@EVERY_MESSAGE
def test_a_missing_field_is_refused_whichever_it_is(message: type[Message]) -> None:
    whole = json.loads(golden(message))
    for field in whole:
        rest = json.dumps({name: value for name, value in whole.items() if name != field})
        with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
            msgspec.json.decode(rest, type=message)


@EVERY_MESSAGE
def test_a_value_of_another_type_is_refused_whichever_it_is(message: type[Message]) -> None:
    whole = json.loads(golden(message))
    for field in whole:
        with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
            msgspec.json.decode(json.dumps({**whole, field: 1.5}), type=message)


@EVERY_MESSAGE
def test_a_producer_cannot_say_a_field_that_the_message_does_not_have(message: type[Message]) -> None:
    with pytest.raises(TypeError, match="Unexpected keyword argument 'added_later'"):
        message(**json.loads(golden(message)), added_later=1)


@EVERY_MESSAGE
def test_the_schema_requires_every_field_of_the_golden_message(message: type[Message]) -> None:
    schema = json.loads((GOLDEN.parents[2] / "docs/contracts/messages" / f"{message.TYPE}.schema.json").read_text())
    assert set(schema["required"]) == json.loads(golden(message)).keys()


@pytest.mark.parametrize(
    "spelling",
    [
        GOLDEN_ID.upper(),
        GOLDEN_ID.replace("-", ""),
        f"{{{GOLDEN_ID}}}",
        f"{GOLDEN_ID}\n",
        f"urn:uuid:{GOLDEN_ID}",
        "",
    ],
)
def test_a_transfer_s_id_has_one_spelling(spelling: str) -> None:
    """PostgreSQL would take the others for the same id, and whoever compares texts for another transfer."""
    command = json.loads(golden(TransferRequested))["command"]
    with pytest.raises(msgspec.ValidationError, match="transfer_id"):
        msgspec.json.decode(json.dumps(command | {"transfer_id": spelling}), type=TransferCommand)
