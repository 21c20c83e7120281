"""A process that takes a batch, says so, and never ends it; its test kills it. Arguments: a World's facts as JSON."""

import asyncio
import json
import sys
from collections.abc import Sequence

from libs.common.clock import system_clock
from libs.common.contracts.topics import Topic, dead_letters_of
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.messaging.records import Received
from libs.common.settings import ServiceSettings
from tests.integration.messaging.conftest import SERVICE, Noted, numbers


async def main() -> None:
    facts = json.loads(sys.argv[1])
    topic = Topic(facts["topic"], "test", "number", "it is a test", (Noted,))
    settings = ServiceSettings.model_validate(facts["settings"])
    bus = Bus(settings, service=SERVICE, clock=system_clock, topics=(topic, dead_letters_of(SERVICE)))

    async def never_end(batch: Sequence[Received]) -> None:
        print(json.dumps({"working_on": numbers(batch)}), flush=True)  # noqa: T201 -- how its test learns of it
        await asyncio.Event().wait()

    bus.subscribe(Subscription(facts["group"], topic, never_end))
    await bus.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
