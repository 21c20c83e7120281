"""Looks every two seconds at the dead letters: how old the oldest is, and whether people decided about one."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from libs.common.errors import Unavailable
from libs.common.messaging.delivery import Delivery
from libs.common.messaging.standing_letters import StandingLetters
from libs.common.telemetry.metrics import OLDEST_DEAD_LETTER_SECONDS

log = structlog.get_logger()

_LOOK_SECONDS: Final = 2.0


async def watch_letters(standing: StandingLetters, deliveries: Sequence[Delivery]) -> None:
    """Set the gauges and have each delivery go on with what waits for nothing any more, until cancelled."""
    had_letters: set[str] = set()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            ages_seconds = await standing.measure()
        except Unavailable as reason:
            log.info("letters_not_looked_at", code=reason.code)
            continue
        for delivery in deliveries:
            group = delivery.subscription.group
            OLDEST_DEAD_LETTER_SECONDS.labels(group).set(ages_seconds.get(group, 0.0))
            # Once more after the last is gone, so that the consumer forgets what stood there.
            if group in ages_seconds or group in had_letters:
                await delivery.look_after_letters()
        had_letters = set(ages_seconds)
