"""The table of fields, `fields.md` beside this: what a field means, and what it may hold, said once by its name."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("fields.md")
_ROW: Final = re.compile(r"^\| `(?P<name>(?:\w+\.)?\w+)` \| (?P<meaning>[^|]+?) \| ?(?P<example>.*?) ?\|$")


@dataclass(frozen=True, slots=True)
class Field:
    """A line: the meaning in a sentence, and an example in a list of none or one."""

    meaning: str
    examples: tuple[Any, ...]


@cache
def field_table() -> Mapping[str, Field]:
    """Return name, or `Schema.name`, → its line."""
    return dict(read_fields(TABLE.read_text(encoding="utf-8")))


def field_of(schema_name: str, name: str) -> Field | None:
    """Return what is said of a field of this schema, or else of every field with this name."""
    table = field_table()
    return table.get(f"{schema_name}.{name}") or table.get(name)


def read_fields(text: str) -> Iterator[tuple[str, Field]]:
    """Yield the lines of a table's text."""
    for line in text.splitlines():
        if row := _ROW.match(line):
            yield row["name"], Field(row["meaning"], (json.loads(row["example"]),) if row["example"] else ())
