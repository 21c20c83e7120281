"""Starting while PostgreSQL or the broker is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from libs.common.errors import Unavailable

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 0.2


async def until_available(start: Callable[[], Awaitable[object]]) -> None:
    """Do this step of a start, again and again while it is Unavailable.

    Dying instead would only make the supervisor start the process again, at two seconds of CPU for the imports.
    """
    while True:
        try:
            await start()
        except Unavailable as reason:
            log.warning("start_postponed", code=reason.code)
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
