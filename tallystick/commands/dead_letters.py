"""`tallystick dead-letters`: what could not be processed, and what a person decides about it."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from libs.common.audit.asker import Asker
from libs.common.clock import to_rfc3339
from libs.common.errors import TallystickError
from libs.common.messaging.resolve_dead_letters import DeadLetter, DeadLetterOffice, Status, open_office
from tallystick.stack.administrators import BY_HELP, at_the_console, require_administrator
from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import find_stack

_PAYLOAD_CHARACTERS_MAX: Final = 20_000
_ID_CHARACTERS: Final = 36
_COMMAND: Final = "tallystick dead-letters"

Answer = TypeVar("Answer")
Data = Annotated[Path, typer.Option(help="Folder of the stack.")]
Postgres = Annotated[
    str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
]
Kafka = Annotated[
    str | None, typer.Option(envvar="TALLYSTICK_KAFKA", help="host:port; else the stack running on the folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LetterId = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.", show_default=False)]
By = Annotated[str, typer.Option(help=f"{BY_HELP} Kept with the letter.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Messages that could not be processed: list, show, replay, discard.")


@app.command("list")
def list_command(
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    data: Data = Path(".tallystick"),
    postgres: Postgres = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters of all services, newest first."""
    dsn = postgres or find_stack(data).postgres
    letters = _ask(dsn, _whoever_is_here(), lambda office: office.list_letters(service, status))
    if as_json:
        typer.echo(json.dumps([_summary(letter) for letter in letters]))
        return
    whole_id = Column("id", no_wrap=True, min_width=_ID_CHARACTERS)
    table = Table(whole_id, "status", "service", "message", "cause", "attempts", "last seen")
    for letter in letters:
        columns = (letter.dead_letter_id, letter.status, letter.service, letter.message_type, letter.cause_code)
        table.add_row(*map(Text, (*columns, str(letter.attempts), to_rfc3339(letter.last_seen_at))))
    Console().print(table if letters else "No dead letters.")


@app.command("show")
def show_command(
    dead_letter_id: LetterId, data: Data = Path(".tallystick"), postgres: Postgres = None, as_json: AsJson = False
) -> None:
    """Show all that is known of one: headers, payload, cause, stack, when and how often."""
    dsn = postgres or find_stack(data).postgres
    letter = _ask(dsn, _whoever_is_here(), lambda office: office.show(dead_letter_id))
    if as_json:
        typer.echo(json.dumps(_whole(letter)))
        return
    console = Console(soft_wrap=True, highlight=False)
    for name, value in _whole(letter).items():
        if name not in {"payload", "payload_base64", "stack", "headers"}:
            console.print(Text(f"{name:17} {value}"))
    for header, value in letter.headers:
        console.print(Text(f"header            {json.dumps(header)}: {json.dumps(value)}"))
    console.print(Text("\npayload", style="bold"), Text(readable_payload(letter.payload)), sep="\n")
    console.print(Text("\nstack", style="bold"), Text(letter.stack), sep="\n")


@app.command("replay")
def replay_command(
    dead_letter_id: LetterId,
    by: By = "",
    data: Data = Path(".tallystick"),
    postgres: Postgres = None,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Send the message again as it came, only a missing ce_id is added. Do it when the cause is mended.

    What waits for it follows by itself. --by has to be an active administrator.
    """
    bootstrap = kafka or find_stack(data).kafka
    dsn = postgres or find_stack(data).postgres
    letter = _ask(dsn, _administrator(dsn, by), lambda office: office.replay(dead_letter_id, bootstrap=bootstrap))
    _say(letter, f"sent again to {letter.topic}; if it fails again, it is parked again under the same id", as_json)


@app.command("discard")
def discard_command(
    dead_letter_id: LetterId,
    reason: Annotated[str, typer.Option(help="Why nobody needs this message; kept.", show_default=False)],
    by: By = "",
    data: Data = Path(".tallystick"),
    postgres: Postgres = None,
    as_json: AsJson = False,
) -> None:
    """Give the message up: it is never handled, and what waits for it goes on.

    The letter stays, with who decided it and why. --by has to be an active administrator.
    """
    dsn = postgres or find_stack(data).postgres
    letter = _ask(dsn, _administrator(dsn, by), lambda office: office.discard(dead_letter_id, reason=reason))
    _say(letter, "discarded", as_json)


def readable_payload(payload: bytes | None) -> str:
    """Return the payload for a person: JSON indented, other text as it is, other bytes escaped, a null as `<null>`."""
    if payload is None:
        return "<null>"
    text = payload.decode("utf-8", "backslashreplace")
    try:
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
    if len(text) <= _PAYLOAD_CHARACTERS_MAX:
        return text
    return f"{text[:_PAYLOAD_CHARACTERS_MAX]}\n… {len(payload)} bytes in all; --json prints them"


def _whoever_is_here() -> Asker:
    """Return who looks: whoever has the administrator's DSN, of whom nothing else is known."""
    return Asker("tallystick", "system", user_agent=_COMMAND, is_staff=True)


def _administrator(dsn: str, by: str) -> Asker:
    asyncio.run(require_administrator(dsn, by))
    return at_the_console(by, _COMMAND)


def _ask(dsn: str, asker: Asker, question: Callable[[DeadLetterOffice], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        async with open_office(dsn, asker) as office:
            return await question(office)

    try:
        return asyncio.run(ask())
    except TallystickError as error:
        raise StackError(error.detail) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"the database does not do it, is it migrated? {error}") from error


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        name: value
        for name, value in _whole(letter).items()
        if name not in {"headers", "payload", "payload_base64", "stack"}
    }


def _whole(letter: DeadLetter) -> dict[str, Any]:
    """Return what JSON can hold of it: text where bytes are text, and the payload in base64 beside it."""
    times = {
        name: None if moment is None else to_rfc3339(moment)
        for name, moment in (
            ("first_seen_at", letter.first_seen_at),
            ("last_seen_at", letter.last_seen_at),
            ("resolved_at", letter.resolved_at),
        )
    }
    key, payload = letter.message_key, letter.payload
    return asdict(letter) | {
        **times,
        "message_key": None if key is None else key.decode("utf-8", "backslashreplace"),
        "payload": None if payload is None else payload.decode("utf-8", "backslashreplace"),
        "payload_base64": None if payload is None else b64encode(payload).decode(),
    }


def _say(letter: DeadLetter, what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_summary(letter)))
    else:
        Console(soft_wrap=True, highlight=False).print(Text(f"{letter.dead_letter_id}: {what}"))
