"""`tallystick dead-letters`: a person sees what was parked and decides, and what he decides is kept."""

import asyncio
import json
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from libs.common.errors import Rejected
from libs.common.ids import new_id
from tallystick.cli import app
from tests.integration.messaging.conftest import SERVICE, Notebook, Noted, World, headers, until


class CommandLine:
    """The command line beside a running service, told by the environment where everything is."""

    def __init__(self, world: World) -> None:
        self._environment = {"TALLYSTICK_POSTGRES": world.admin_dsn, "TALLYSTICK_KAFKA": world.broker.address}

    async def run(self, *arguments: str) -> tuple[int, str]:
        runner = CliRunner(env=self._environment)
        result = await asyncio.to_thread(runner.invoke, app, ["dead-letters", *arguments])
        return result.exit_code, result.output

    async def json(self, *arguments: str) -> Any:
        code, output = await self.run(*arguments, "--json")
        assert code == 0, output
        # The consumer of this test runs in the same process, and its log lines may stand before the answer.
        return json.loads(output.splitlines()[-1])


@pytest.fixture
def tallystick(world: World) -> CommandLine:
    return CommandLine(world)


class Refusing:
    """Refuses one number until it is mended."""

    mended = False

    def __call__(self, found: list[int]) -> None:
        if 7 in found and not self.mended:
            raise Rejected("seven_refused", "This handler cannot do seven.")


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

    refusing.mended = True
    replayed = await tallystick.json("replay", found, "--by", "grace")
    assert (replayed["status"], replayed["resolved_by"]) == ("replayed", "grace")
    await until(lambda: notebook.noted == [7])
    assert await tallystick.json("list", "--status", "parked") == []
    code, output = await tallystick.run("replay", found)
    assert code == 1
    assert "was replayed by grace" in output


async def replay_in_vain(world: World, tallystick: CommandLine, notebook: Notebook) -> dict[str, Any]:
    """Replay the one letter there is and return it: parked again, under the id it had."""
    found = await parked_id(world)
    await tallystick.json("replay", found)
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
    await tallystick.json("replay", await parked_id(world))
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
    code, _ = await tallystick.run("discard", found)
    assert code == 2
    code, output = await tallystick.run("discard", found, "--reason", "  ")
    assert (code, "Say why" in output) == (1, True)

    given_up = await tallystick.json("discard", found, "--reason", "sent by a test", "--by", "grace")
    assert given_up["status"] == "discarded"
    assert (given_up["resolved_by"], given_up["resolved_reason"]) == ("grace", "sent by a test")
    assert given_up["resolved_at"] is not None
    for command in (("replay", found), ("discard", found, "--reason", "again")):
        code, output = await tallystick.run(*command)
        assert (code, "was discarded by grace" in output) == (1, True)


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
    code, output = await tallystick.run("replay", found, "--kafka", "127.0.0.1:1")
    assert (code, "did not take" in output) == (1, True)
    (letter,) = await world.parked()
    assert (letter["status"], letter["resolved_by"]) == ("parked", None)
