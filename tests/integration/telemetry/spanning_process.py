"""A process that exports spans to the endpoint it is given: of a batch that commits, and of one that fails."""

import asyncio
import sys

from libs.common.telemetry.traces import batch_spans, exporting_spans

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def main(endpoint: str) -> None:
    async with exporting_spans("test", endpoint):
        with batch_spans("good", {"a": TRACEPARENT, "b": TRACEPARENT}, 7) as onward:
            assert len({TRACEPARENT, *onward.values()}) == 3
        try:
            with batch_spans("bad", {"a": TRACEPARENT}, 1):
                raise ZeroDivisionError("Mallory Unmistakable owes 4711")
        except ZeroDivisionError:
            pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
