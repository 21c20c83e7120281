"""The only place that asks the machine what time it is. Everything else is handed a time, aware and in UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment, aware, UTC. Services pass `system_clock`; tests pass one they move themselves."""


def system_clock() -> datetime:
    """Return the machine's present time, aware, UTC, microseconds."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def to_rfc3339(moment: datetime) -> str:
    """Write a moment as RFC 3339 UTC with microseconds: `2026-03-01T09:30:00.000000Z`, 27 characters, sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str) -> datetime:
    """Read what `to_rfc3339` wrote. Raises ValueError for anything without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no UTC offset"
        raise ValueError(message)
    return moment.astimezone(UTC)


def unix_seconds() -> float:
    """Return seconds since 1970 UTC by the machine's clock: what token expiry (RFC 7519) is compared with."""
    return time.time()
