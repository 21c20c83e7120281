"""Who waits in this process for an account to become active."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final


class Openings:
    """One event per account whose opening somebody waits for. Bounded by the requests under way."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._events: Final[dict[str, asyncio.Event]] = {}

    @contextmanager
    def expect(self, account_id: str) -> Iterator[asyncio.Event]:
        """Lend the event that is set once the account is active; enter before the account is written."""
        event = self._events[account_id] = asyncio.Event()
        try:
            yield event
        finally:
            del self._events[account_id]

    def settle(self, account_ids: Iterable[str]) -> None:
        """Wake whoever waits for these accounts; call after the commit."""
        for account_id in account_ids:
            event = self._events.get(account_id)
            if event is not None:
                event.set()
