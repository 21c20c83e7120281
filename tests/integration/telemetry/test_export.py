"""What a process has to say of its traced transfers is said before it ends, to whoever listens."""

import asyncio
import sys
import time
from pathlib import Path

from tests.support.otlp_receiver import otlp_receiver
from tests.support.stack import ROOT

PROCESS = Path(__file__).with_name("spanning_process.py")


async def run(endpoint: str) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, PROCESS, endpoint, cwd=ROOT, env={"PYTHONPATH": "."})
    return await process.wait()


async def test_a_process_that_ends_sends_what_still_waits_and_failures_without_their_words() -> None:
    with otlp_receiver() as receiver:
        assert await run(receiver.endpoint + "/") == 0
    found = {(span.name, span.failed, *span.attributes.values()) for span in receiver.spans}
    assert found == {("good", False, "a", 7), ("good", False, "b", 7), ("bad", True, "a", 1)}
    assert {(span.service, span.parent_id) for span in receiver.spans} == {("test", "b7ad6b7169203331")}
    assert b"Unmistakable" not in b"".join(receiver.bodies)


async def test_a_receiver_that_is_away_neither_fails_a_process_nor_keeps_it() -> None:
    with otlp_receiver() as receiver:
        gone = receiver.endpoint
    began = time.monotonic()
    assert await run(gone) == 0
    assert time.monotonic() - began < 15
