"""The table of codes, `error_codes.md` beside this: one line a code, read by people, by the pages of it and by tests.

Each code's page says what it means and what to do. A problem document's `type` leads there, and the same page stands
in docs/errors/, written by `make errors`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from libs.common.http.openapi import CODES_MEMBER
from libs.common.http.problems import TITLES, problem_document
from libs.common.sentences import DETAILS, EXACT

TABLE: Final = Path(__file__).with_name("error_codes.md")
_ROW: Final = re.compile(r"^\| `([a-z_]+)` \| (\S+) \| ([^|]+) \| ([^|]+) \|$")
_SECTION: Final = re.compile(r"^## (.+)$")
_PLACE: Final = re.compile(r"^Said by: (.+)$")
_NEVER_ANSWERED: Final = "\N{EN DASH}"
_STATUS: Final = re.compile(r"\d{3}")
_EXAMPLE_STATUS: Final = 400
"""For the code that comes with whatever status the framework gives it."""
_EXAMPLE_FACTS: Final[Mapping[str, Any]] = {
    "asset": "USD",
    "available_minor": 120,
    "legs": 2,
    "limit_count": 10,
    "limit_minor": 1_000_000,
    "needed_minor": 500,
    "remaining_minor": 250,
    "requested_minor": 2_000_000,
    "used_count": 10,
    "used_minor": 900_000,
}
_EXAMPLE_REQUEST: Final = "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01"
_EXAMPLE_TRANSFER: Final = "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f02"
OF_A_TRANSFER: Final = "What became of a transfer"
"""The section of the codes that a transfer ends with; problems with them name the transfer."""
_SEEN_BEFORE: Final = {"asset_mismatch", "same_account"}
"""Of those, what is mostly seen before there is a transfer."""
_OF_A_HOLD: Final = {
    "kyc_expired",
    "payee_kyc_rejected",
    "review_expired",
    "voided_by_caller",
}
_ENDED_AS: Final = {"403": "blocked", "422": "refused"}


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A line of the table. `place` says in words which routes or commands say it."""

    code: str
    status: str
    meaning: str
    advice: str
    section: str
    place: str

    @property
    def is_answered(self) -> bool:
        """Tell whether a caller over HTTP can meet it."""
        return self.status != _NEVER_ANSWERED

    @property
    def example_status(self) -> int:
        """Return the status that an example of it has."""
        return int(self.status) if _STATUS.fullmatch(self.status) else _EXAMPLE_STATUS


@cache
def error_codes() -> Mapping[str, ErrorCode]:
    """Return code → its line, in the order of the table."""
    return {line.code: line for line in read_codes(TABLE.read_text(encoding="utf-8"))}


def read_codes(text: str) -> Iterator[ErrorCode]:
    """Yield the lines of a table's text."""
    section = place = ""
    for line in text.splitlines():
        if heading := _SECTION.match(line):
            section, place = heading[1], ""
        elif said_by := _PLACE.match(line):
            place = said_by[1]
        elif row := _ROW.match(line):
            yield ErrorCode(row[1], row[2], row[3], row[4], section, place)


def codes_of(section: str) -> Sequence[str]:
    """Return the codes under a heading of the table."""
    return [line.code for line in error_codes().values() if line.section == section]


def example_of(error: ErrorCode) -> dict[str, Any]:
    """Return a problem document as a caller may get it."""
    facts: dict[str, Any] = {}
    if error.code in EXACT:
        names = re.findall(r"\{(\w+)\}", EXACT[error.code])
        facts = {name: _EXAMPLE_FACTS[name] for name in names if name in _EXAMPLE_FACTS}
    if error.code == "invalid_request":
        facts["errors"] = [{"in": "body", "pointer": "/amount_minor", "detail": "Expected `int` >= 1"}]
    about_request = _EXAMPLE_REQUEST
    if error.section == OF_A_TRANSFER and error.code not in _SEEN_BEFORE:
        about_request = ""
        facts["transfer_id"] = _EXAMPLE_TRANSFER
        facts["transfer_status"] = "voided" if error.code in _OF_A_HOLD else _ENDED_AS[error.status]
        facts["instance"] = f"/api/v1/transfers/{_EXAMPLE_TRANSFER}"
    detail = DETAILS.get(error.code, error.meaning)
    return problem_document(error.example_status, error.code, detail, request_id=about_request, facts=facts)


def render_page(error: ErrorCode, operations: Iterable[str]) -> str:
    """Return a code's page in Markdown; `operations` are those whose description names it, as `GET /path`."""
    named = [f"- `{operation}`" for operation in operations]
    status = (
        f"**{error.status}** {TITLES.get(error.example_status, 'Error') if error.status.isdigit() else ''}".rstrip()
        if error.is_answered
        else "Never answered over HTTP."
    )
    parts = [
        f"# `{error.code}`",
        status,
        error.meaning,
        f"## What to do\n\n{error.advice}",
        "## Who says it\n\n" + "\n\n".join(part for part in (error.place, "\n".join(named)) if part),
    ]
    if error.is_answered:
        shown = json.dumps(example_of(error), indent=2, ensure_ascii=False)
        parts.append(f"## Example\n\n```json\n{shown}\n```")
    return "\n\n".join(parts) + "\n"


def render_index() -> str:
    """Return the table in Markdown with a link to the page of each code."""
    linked = re.sub(r"^\| `([a-z_]+)` \|", r"| [`\1`](\1.md) |", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"^<!--.*?-->\n\n?", "", linked, flags=re.MULTILINE | re.DOTALL)


def operations_by_code(document: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Return code → the operations of an OpenAPI document that say they answer with it, as `GET /path`."""
    found: dict[str, list[str]] = {}
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            responses = operation.get("responses", {}).values()
            for code in sorted({code for response in responses for code in response.get(CODES_MEMBER, ())}):
                found.setdefault(code, []).append(f"{method.upper()} {path}")
    return found
