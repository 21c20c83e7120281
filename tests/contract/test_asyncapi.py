"""The document of the bus is AsyncAPI 3.0, by the standard's own schema, and its references lead somewhere."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/contracts/asyncapi.json").read_text())
SCHEMA = json.loads(Path(__file__).with_name("asyncapi").joinpath("3.0.0.schema.json").read_text())


def faults_of(document: dict[str, Any]) -> list[str]:
    return [f"{fault.json_path}: {fault.message[:300]}" for fault in Draft7Validator(SCHEMA).iter_errors(document)]


def references_in(node: Any) -> Iterator[str]:
    match node:
        case dict():
            for name, value in node.items():
                if name == "$ref" and isinstance(value, str):
                    yield value
                else:
                    yield from references_in(value)
        case list():
            for value in node:
                yield from references_in(value)


def leads_somewhere(reference: str) -> bool:
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


def test_the_document_is_valid() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert faults_of(DOCUMENT) == []


def test_the_schema_would_notice() -> None:
    broken = copy.deepcopy(DOCUMENT)
    next(iter(broken["operations"].values()))["action"] = "shout"
    assert faults_of(broken)


def test_every_reference_leads_somewhere() -> None:
    references = list(references_in(DOCUMENT))
    assert references
    assert [reference for reference in references if not leads_somewhere(reference)] == []
