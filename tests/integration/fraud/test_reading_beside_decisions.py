"""While a rule set is read the event loop goes on: others are decided on meanwhile."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from traceback import walk_stack

import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.views.show_decision import ShowDecision
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.random_decisions import RULES
from tests.integration.fraud.rulebook import end_rulesets, put_in_shadow
from tests.integration.fraud.shadow_room import PATH, ShadowRoom, shadow_room

RULE = """
- id: rule_{number}
  title: Tried
  when: usd_minor > 5
  message: tried
  typology: other
  points: 1
  examples:
  - {{given: {{usd_minor: 6}}, hits: true}}
  - {{given: {{}}, hits: false}}
"""
LARGE = RULES.rstrip() + "".join(RULE.format(number=number).rstrip() for number in range(40))


@pytest.fixture
async def room(office: Office, fraud_admin_dsn: str, tmp_path: Path) -> AsyncIterator[ShadowRoom]:
    await end_rulesets(fraud_admin_dsn)
    async with shadow_room(office, fraud_admin_dsn, tmp_path) as room:
        yield room
    await end_rulesets(fraud_admin_dsn)


def is_reading() -> bool:
    """Tell whether some thread but this one is within `read_ruleset`."""
    others = (frame for thread, frame in sys._current_frames().items() if thread != threading.get_ident())
    return any(frame.f_code is read_ruleset.__code__ for other in others for frame, _ in walk_stack(other))


async def turns_while_reading(work: Awaitable[object]) -> int:
    """Return how often the loop came round while a rule set was being read."""
    turns, task = 0, asyncio.ensure_future(work)
    while not task.done():
        turns += is_reading()
        await asyncio.sleep(0)
    await task
    return turns


async def test_the_loop_goes_on_while_staff_write_and_put_live(room: ShadowRoom) -> None:
    body = {"document": LARGE, "reason": "tried"}
    assert await turns_while_reading(room.http.post(PATH, headers=room.author, json=body)) > 1
    version = await room.write(LARGE)
    await room.move(version, "approve", room.colleague)
    assert await turns_while_reading(room.move(version, "live")) > 1


async def test_the_loop_goes_on_while_the_process_that_decides_reads(office: Office, fraud_admin_dsn: str) -> None:
    await put_in_shadow(fraud_admin_dsn, LARGE)
    office.screening.look_again()
    try:
        assert await turns_while_reading(office.ask_until_answered(transfer(new_id()))) > 1
    finally:
        await end_rulesets(fraud_admin_dsn)


async def test_the_loop_goes_on_while_a_decision_is_explained(office: Office, room: ShadowRoom) -> None:
    version = await room.write(LARGE)
    await room.put_live(version)
    command = transfer(new_id())
    await office.ask_until_answered(command)
    engine = make_engine(office.dsn, "fraud-test")
    show = ShowDecision(Reading(engine))
    assert await turns_while_reading(show(command.transfer_id, reader_id=new_id())) > 1
    await engine.dispose()
