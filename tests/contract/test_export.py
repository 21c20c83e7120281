"""What docs/contracts/ says is what the code says, and its AsyncAPI document holds together."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts import export
from libs.common.contracts.topics import ALL_TOPICS

DELIVERY = Path(__file__).parents[2] / "docs" / "architecture" / "delivery.md"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(export.documents()["asyncapi.json"])
    return found


def references(node: object) -> Iterator[str]:
    """Every `$ref` of a document."""
    if isinstance(node, dict):
        yield from (str(value) for key, value in node.items() if key == "$ref")
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)


def test_the_written_contracts_are_up_to_date() -> None:
    assert list(export.differences(export.FOLDER, export.documents())) == []


def test_the_same_code_writes_the_same_bytes() -> None:
    assert export.documents() == export.documents()


def test_a_changed_file_is_shown_as_a_difference_that_can_be_read(tmp_path: Path) -> None:
    export.write(tmp_path, {"a.json": '{\n  "type": "integer"\n}\n', "b.json": "{}\n"})
    found = list(export.differences(tmp_path, {"a.json": '{\n  "type": "string"\n}\n', "c.json": "{}\n"}))
    assert '-  "type": "integer"' in found[0]
    assert '+  "type": "string"' in found[0]
    assert found[1:] == ["b.json: no message or topic asks for this file", "c.json: missing"]


def test_check_exits_with_one_when_the_folder_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "FOLDER", tmp_path)
    assert export.main(["--check"]) == 1
    assert "asyncapi.json: missing" in capsys.readouterr().out
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0


def test_writing_removes_what_no_message_asks_for(tmp_path: Path) -> None:
    export.write(tmp_path, {"old.json": "{}\n"})
    export.write(tmp_path, {"new.json": "{}\n"})
    assert [path.name for path in tmp_path.iterdir()] == ["new.json"]


def test_every_reference_of_every_document_leads_somewhere() -> None:
    for name, text in export.documents().items():
        whole = json.loads(text)
        for reference in references(whole):
            node = whole
            for step in reference.removeprefix("#/").split("/"):
                assert step in node, f"{name}: {reference}"
                node = node[step]


def test_the_document_says_all_that_asyncapi_3_requires(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"].keys() >= {"title", "version"}
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
    for message in document["components"]["messages"].values():
        assert message.keys() >= {"name", "contentType", "headers", "payload"}
        assert message["headers"]["type"] == "object"


def test_every_topic_is_a_channel_with_its_key_partitions_retention_and_reason(document: dict[str, Any]) -> None:
    assert document["channels"].keys() == {topic.name for topic in ALL_TOPICS}
    for topic in ALL_TOPICS:
        channel = document["channels"][topic.name]
        assert topic.key in channel["description"]
        assert topic.why in channel["description"]
        assert channel["bindings"]["kafka"]["partitions"] == topic.partitions
        assert channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == topic.retention_ms


def test_every_topic_says_whether_messages_wait_behind_a_parked_one_and_delivery_md_names_those_that_do(
    document: dict[str, Any],
) -> None:
    waiting = {topic.name for topic in ALL_TOPICS if topic.waits_because}
    for topic in ALL_TOPICS:
        channel = document["channels"][topic.name]
        assert channel["x-after-parking"] == ("wait" if topic.waits_because else "go-on")
        assert (topic.waits_because or "later ones of its key go on") in channel["description"]
    section = DELIVERY.read_text().split("## Behind a parked message")[1].split("\n## ")[0]
    rows = [row for row in section.splitlines() if "| wait: " in row]
    assert set(re.findall(r"`([a-z.-]+\.v1)`", "".join(rows))) == waiting
    assert {topic.waits_because for topic in ALL_TOPICS} - {""} == {row.split("wait: ")[1].rstrip(" |") for row in rows}


def test_every_topic_is_sent_to_by_its_owner_alone(document: dict[str, Any]) -> None:
    senders = {
        operation["channel"]["$ref"].removeprefix("#/channels/"): operation["tags"][0]["name"]
        for operation in document["operations"].values()
        if operation["action"] == "send"
    }
    assert senders == {topic.name: topic.owner for topic in ALL_TOPICS}


def test_fraud_is_named_as_a_receiver_of_what_it_consumes(document: dict[str, Any]) -> None:
    heard = document["operations"]["fraud.receives.gateway.transfer-requests.v1"]
    assert heard["action"] == "receive"
    assert {message["$ref"].rpartition("/")[2] for message in heard["messages"]} == {
        "TransferRequested",
        "TransferBatchRequested",
    }
