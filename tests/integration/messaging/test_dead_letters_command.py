"""`tallystick dead-letters`: a person sees what was parked and decides, and what he decides is kept."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from libs.common.contracts.topics import audit_entries_of
from libs.common.ids import new_id
from tests.integration.messaging.conftest import (
    ADMINISTRATOR,
    NO_ADMINISTRATOR,
    SERVICE,
    Notebook,
    Noted,
    World,
    headers,
    until,
)
from tests.integration.messaging.dead_letters_command_line import CommandLine, Refusing

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tallystick(world: World) -> CommandLine:
    return CommandLine(world)


async def parked_id(world: World) -> str:
    await until(lambda: _has_letters(world))
    (letter,) = await world.parked()
    return str(letter["dead_letter_id"])


async def _has_letters(world: World) -> bool:
    return bool(await world.parked())


async def test_a_parked_message_is_listed_shown_replayed_when_mended_and_then_done(
    world: World, tallystick: CommandLine
) -> None:
    refusing = Refusing()
    notebook = Notebook(refusing)
    await world.start(notebook)
    await world.send_numbers(7)
    found = await parked_id(world)

    (listed,) = await tallystick.json("list", "--service", SERVICE, "--status", "parked")
    assert (listed["dead_letter_id"], listed["cause_code"], listed["attempts"]) == (found, "seven_refused", 1)
    shown = await tallystick.json("show", found)
    assert shown["payload"] == '{"number":7}'
    assert "Refusing" in shown["stack"] or "__call__" in shown["stack"]
    _, text = await tallystick.run("show", found)
    assert '"number": 7' in text
    assert "seven_refused" in text

    refusing.mend()
    replayed = await tallystick.replay(found)
    assert (replayed["status"], replayed["resolved_by"]) == ("replayed", ADMINISTRATOR)
    await until(lambda: notebook.noted == [7])
    assert await tallystick.json("list", "--status", "parked") == []
    code, output = await tallystick.run("replay", found, "--by", ADMINISTRATOR)
    assert code == 1
    assert f"was replayed by {ADMINISTRATOR}" in " ".join(output.split())


async def replay_in_vain(world: World, tallystick: CommandLine, notebook: Notebook) -> dict[str, Any]:
    """Replay the one letter there is and return it: parked again, under the id it had."""
    found = await parked_id(world)
    await tallystick.replay(found)
    await world.send_numbers(1)
    await until(lambda: notebook.noted == [1])
    (letter,) = await tallystick.json("list")
    assert (letter["dead_letter_id"], letter["status"], letter["attempts"]) == (found, "parked", 2)
    return cast("dict[str, Any]", letter)


async def test_a_replayed_message_that_fails_again_is_parked_again_under_its_id(
    world: World, tallystick: CommandLine
) -> None:
    notebook = Notebook(Refusing())
    await world.start(notebook)
    await world.send_numbers(7)
    await replay_in_vain(world, tallystick, notebook)


async def test_a_message_is_sent_again_unedited_whatever_bytes_it_is_made_of(
    world: World, tallystick: CommandLine
) -> None:
    await world.start(Notebook())
    strange = [("ce_id", b"\xff\x00"), ("ce_type", Noted.TYPE.encode()), ("none", None), ("x" * 300, b"y" * 3000)]
    await world.send((b"\x00\xfe no text", strange), key=b"\xff key")
    await tallystick.replay(await parked_id(world))
    first, again = await world.on_the_bus(world.topic.name, 2)
    assert (again.key, again.value, again.headers) == (first.key, first.value, first.headers)
    assert again.partition == first.partition


async def test_a_message_without_a_name_gets_its_letters_and_is_the_same_letter_when_it_fails_again(
    world: World, tallystick: CommandLine
) -> None:
    notebook = Notebook()
    await world.start(notebook)
    await world.send((b"no json", [("ce_type", Noted.TYPE.encode()), ("ce_id", None)]))
    letter = await replay_in_vain(world, tallystick, notebook)
    assert letter["cause_code"] == "payload_unreadable"


async def test_a_message_is_given_up_only_with_a_reason_and_only_once(world: World, tallystick: CommandLine) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers()))
    found = await parked_id(world)
    by = ("--by", ADMINISTRATOR)
    code, _ = await tallystick.run("discard", found, *by)
    assert code == 2
    for reason in ("  ", "x" * 501):
        code, output = await tallystick.run("discard", found, "--reason", reason, *by)
        assert (code, "Say why" in output) == (1, True)

    given_up = await tallystick.discard(found, "sent by a test")
    assert given_up["status"] == "discarded"
    assert (given_up["resolved_by"], given_up["resolved_reason"]) == (ADMINISTRATOR, "sent by a test")
    assert given_up["resolved_at"] is not None
    for command in (("replay", found), ("discard", found, "--reason", "again")):
        code, output = await tallystick.run(*command, *by)
        assert (code, f"was discarded by {ADMINISTRATOR}" in " ".join(output.split())) == (1, True)


async def test_what_does_not_exist_is_said_in_a_sentence(world: World, tallystick: CommandLine) -> None:
    for nobody in (new_id(), "no id"):
        code, output = await tallystick.run("show", nobody)
        assert (code, f"There is no dead letter {nobody}." in output) == (1, True)
    code, output = await tallystick.run("list", "--service", "payroll")
    assert (code, "There is no service payroll" in output) == (1, True)


async def test_a_replay_the_broker_does_not_take_marks_nothing(world: World, tallystick: CommandLine) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers()))
    found = await parked_id(world)
    code, output = await tallystick.run("replay", found, "--by", ADMINISTRATOR, "--kafka", "127.0.0.1:1")
    assert (code, "did not take" in output) == (1, True)
    (letter,) = await world.parked()
    assert (letter["status"], letter["resolved_by"]) == ("parked", None)


async def audited(world: World) -> list[tuple[str, str, str, str]]:
    rows = await world.rows(
        f"SELECT action, actor_kind, actor_id, resource_id FROM {SERVICE}.audit_log ORDER BY entry_id"
    )
    return [tuple(row.values()) for row in rows]


async def test_whoever_looks_or_decides_stands_in_the_audit_log_and_the_collector_is_told(
    world: World, tallystick: CommandLine
) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers()))
    found = await parked_id(world)
    await tallystick.json("list")
    await tallystick.json("show", found)
    await tallystick.replay(found)
    await until(lambda: _attempts(world, 2))
    await tallystick.discard(found, "sent by a test")
    looked, decided = ("system", "tallystick"), ("person", ADMINISTRATOR)
    assert await audited(world) == [
        ("dead_letter.list", *looked, SERVICE),
        ("dead_letter.read", *looked, found),
        ("dead_letter.replay", *decided, found),
        ("dead_letter.discard", *decided, found),
    ]
    facts = await world.rows(f"SELECT facts FROM {SERVICE}.audit_log WHERE action = 'dead_letter.discard'")
    assert json.loads(facts[0]["facts"]) == {"attempts": 2, "before": "parked", "consumer_group": world.group}
    # The list of all services is told as one message a service; the running one publishes what the command left.
    assert len(await world.on_the_bus(audit_entries_of(SERVICE).name, 4)) >= 4


async def _attempts(world: World, *wanted: int) -> bool:
    return [letter["attempts"] for letter in await world.parked()] == [*wanted]


@pytest.mark.parametrize("by", [NO_ADMINISTRATOR, "grace", ""])
async def test_only_an_administrator_decides_and_whom_it_refuses_changes_nothing(
    world: World, tallystick: CommandLine, by: str
) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers()))
    found = await parked_id(world)
    for command in (("replay", found), ("discard", found, "--reason", "mine")):
        code, output = await tallystick.run(*command, "--by", by)
        assert (code, "administrator" in output) == (1, True)
    (letter,) = await world.parked()
    assert (letter["status"], letter["attempts"]) == ("parked", 1)
    assert await audited(world) == []


async def test_who_cannot_be_audited_sees_and_decides_nothing(world: World, tallystick: CommandLine) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers()))
    found = await parked_id(world)
    await world.rows(f"ALTER TABLE {SERVICE}.audit_log ADD CONSTRAINT broken CHECK (action = '')")
    code, output = await tallystick.run("show", found)
    assert (code, "no json" in output) == (1, False)
    code, _ = await tallystick.run("discard", found, "--by", ADMINISTRATOR, "--reason", "sent by a test")
    assert code == 1
    assert [letter["status"] for letter in await world.parked()] == ["parked"]


async def test_what_the_runbook_has_one_paste_shows_what_is_parked_and_what_waits(
    ordered: World, tmp_path: Path
) -> None:
    await ordered.start(Notebook(Refusing()))
    await ordered.send_numbers(7, 8)
    await until(lambda: _attempts(ordered, 1, 1))
    command = tmp_path / "tallystick"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tallystick.cli "$@"\n')
    command.chmod(0o700)
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/runbooks/DeadLettersWait.md").read_text(), re.DOTALL)
    asked = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-c", "".join(blocks)),
        env=os.environ | asked | CommandLine(ordered).environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0
    parked, waiting = said.split("waits_behind_parked")[0], said.split("seven_refused")[1]
    assert ("seven_refused" in parked, "waiting" in waiting) == (True, True)
