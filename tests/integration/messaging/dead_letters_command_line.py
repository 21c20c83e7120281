"""`tallystick dead-letters` as an administrator runs it beside a running service; and a handler that gets mended."""

import asyncio
import json
from typing import Any

from typer.testing import CliRunner

from libs.common.errors import Rejected
from tallystick.cli import app
from tests.integration.messaging.conftest import ADMINISTRATOR, World


class CommandLine:
    """The command line beside a running service, told by the environment where everything is."""

    def __init__(self, world: World) -> None:
        self.environment = {"TALLYSTICK_POSTGRES": world.admin_dsn, "TALLYSTICK_KAFKA": world.broker.address}

    async def run(self, *arguments: str) -> tuple[int, str]:
        runner = CliRunner(env=self.environment)
        result = await asyncio.to_thread(runner.invoke, app, ["dead-letters", *arguments])
        return result.exit_code, result.output

    async def json(self, *arguments: str) -> Any:
        code, output = await self.run(*arguments, "--json")
        assert code == 0, output
        # The consumer of this test runs in the same process, and its log lines may stand before the answer.
        return json.loads(output.splitlines()[-1])

    async def replay(self, dead_letter_id: str) -> Any:
        return await self.json("replay", dead_letter_id, "--by", ADMINISTRATOR)

    async def discard(self, dead_letter_id: str, reason: str) -> Any:
        return await self.json("discard", dead_letter_id, "--by", ADMINISTRATOR, "--reason", reason)


class Refusing:
    """Refuses some numbers until it is mended."""

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused or {7})

    def __call__(self, found: list[int]) -> None:
        if self.refused & set(found):
            raise Rejected("seven_refused", "This handler cannot do seven.")

    def mend(self, *numbers: int) -> None:
        self.refused -= set(numbers) or self.refused
