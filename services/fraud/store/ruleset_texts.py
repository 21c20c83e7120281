"""Rule sets are read beside the event loop. It takes up to half a second, and others are decided on meanwhile.

A thread is enough: nothing that reads keeps the interpreter for longer than some milliseconds at a time. A process
would need a second to start, and is not there when rules have to be read for the next decision.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.fraud.domain.rules import RulesetDocument
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset

# One at a time: each that runs takes its turns from what decides. Threads start with the first text.
_FOR_STAFF: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ruleset-texts")


async def read_for_staff(text: str) -> RulesetDocument:
    """Return the rule set, whenever it is this one's turn. Raises: as `read_ruleset`."""
    return await asyncio.get_running_loop().run_in_executor(_FOR_STAFF, read_ruleset, text)


async def compile_to_decide(version: int, text: str) -> Ruleset:
    """Return the rule set ready to decide, and wait for no staff. Raises: as `read_ruleset`; ValueError."""
    return await asyncio.to_thread(lambda: Ruleset(version, read_ruleset(text)))
