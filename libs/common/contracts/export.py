"""Writes docs/contracts/ from the messages and topics: `python -m libs.common.contracts.export [--check]`.

A JSON Schema per message (2020-12) and one AsyncAPI 3.0 document of the whole bus. The same code gives the same bytes;
`--check` compares instead of writing, and exits 1 with the difference.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from libs.common.contracts.asyncapi import asyncapi_document, schemas_of
from libs.common.contracts.base import Message
from libs.common.contracts.topics import ALL_TOPICS

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "docs" / "contracts"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DIFF_LINES_MAX: Final = 60


def all_messages() -> list[type[Message]]:
    """Return every message type once, sorted by its `ce_type`."""
    return sorted({message for topic in ALL_TOPICS for message in topic.messages}, key=lambda message: message.TYPE)


def documents() -> dict[str, str]:
    """Return file name → content of everything under docs/contracts/."""
    written = {f"messages/{message.TYPE}.schema.json": _as_text(_schema_of(message)) for message in all_messages()}
    return {"asyncapi.json": _as_text(asyncapi_document(ROOT / "services")), **written}


def write(folder: Path, wanted: Mapping[str, str]) -> None:
    """Make the folder hold exactly these files."""
    for name, content in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for name in _existing(folder) - wanted.keys():
        (folder / name).unlink()


def differences(folder: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """Yield, file by file, how the folder differs from what the code says; a diff for one that changed."""
    existing = _existing(folder)
    for name in sorted(existing | wanted.keys()):
        if name not in wanted:
            yield f"{name}: no message or topic asks for this file"
        elif name not in existing:
            yield f"{name}: missing"
        elif (found := (folder / name).read_text(encoding="utf-8")) != wanted[name]:
            lines = difflib.unified_diff(
                found.splitlines(), wanted[name].splitlines(), f"written/{name}", f"code/{name}", lineterm=""
            )
            yield "\n".join(list(lines)[:_DIFF_LINES_MAX])


def main(arguments: list[str] | None = None) -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m libs.common.contracts.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with docs/contracts/ and change nothing")
    if not parser.parse_args(arguments).check:
        write(FOLDER, documents())
        return 0
    found = list(differences(FOLDER, documents()))
    if found:
        sys.stdout.write("\n\n".join([*found, "docs/contracts/ is out of date; write it with `make contracts`\n"]))
    return 1 if found else 0


def _schema_of(message: type[Message]) -> dict[str, Any]:
    """Return the message's schema, its fields at the top and what they are made of in `$defs`."""
    (reference,), components = schemas_of([message], "#/$defs/{name}")
    own = components.pop(reference["$ref"].rpartition("/")[2])
    schema = {"$schema": _DIALECT, "$id": f"urn:tallystick:message:{message.TYPE}", **own}
    return schema | ({"$defs": components} if components else {})


def _existing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}


def _as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
