import pytest

from libs.common.errors import InvariantBroken, Unavailable
from libs.common.wait_for_servers import until_available


async def test_a_start_waits_for_what_is_away_instead_of_dying() -> None:
    answers: list[Exception | None] = [Unavailable("database_unavailable", "away"), None]

    async def start() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    await until_available(start)
    assert answers == []


async def test_a_start_that_can_never_succeed_fails_at_once() -> None:
    async def start() -> None:
        raise InvariantBroken("the reserve is missing")

    with pytest.raises(InvariantBroken):
        await until_available(start)
