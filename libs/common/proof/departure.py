"""A log's signed word that it goes on under another name, because the end of what it had signed is lost.

Signed with the key of the old name, so whoever trusts that key can see what became of the log. Its second line keeps it
from ever passing for a checkpoint.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from libs.common.proof.canonical_json import NotCanonical, canonical, parse_canonical
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed

_MARK: Final = "new-origin"
_LINES: Final = 3
_FIELDS: Final = {"actor": str, "checkpoint": str, "origin": str, "reason": str, "shard": int, "started_at": str}


class DepartureMalformed(ValueError):
    """The text says nothing about a new origin."""


@dataclass(frozen=True)
class Departure:
    """The log goes on as `origin`; `floor`, the newest checkpoint known of its old name, binds it no more."""

    origin: str
    floor: Checkpoint
    shard: int
    reason: str
    actor: str
    started_at: str

    def text(self) -> str:
        """Return the text to sign: the old origin, `new-origin`, and the rest as canonical JSON, a line each."""
        fields = {
            "actor": self.actor,
            "checkpoint": self.floor.text(),
            "origin": self.origin,
            "reason": self.reason,
            "shard": self.shard,
            "started_at": self.started_at,
        }
        return f"{self.floor.origin}\n{_MARK}\n{canonical(fields).decode('utf-8')}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what an opened note's text says. Raises: DepartureMalformed."""
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) != _LINES or lines[1] != _MARK:
            raise DepartureMalformed("its second line does not speak of a new origin")
        fields = _fields(lines[2])
        try:
            floor = Checkpoint.parse(fields.pop("checkpoint"))
        except CheckpointMalformed as error:
            raise DepartureMalformed("it departs from no checkpoint") from error
        if floor.origin != lines[0]:
            raise DepartureMalformed("it departs from another log's checkpoint")
        return cls(floor=floor, **fields)


def _fields(line: str) -> dict[str, Any]:
    try:
        value = parse_canonical(line.encode("utf-8"))
    except (NotCanonical, UnicodeEncodeError) as error:
        raise DepartureMalformed("its third line is no canonical JSON") from error
    if not isinstance(value, dict) or {name: type(item) for name, item in value.items()} != _FIELDS:
        raise DepartureMalformed("its third line has other fields")
    return dict(value)
