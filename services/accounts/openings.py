"""Who waits in this process for an account to become active."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final


class Openings:
    """The events of those who wait for an account to open. Bounded by the requests under way."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._events: Final[dict[str, list[asyncio.Event]]] = {}

    @contextmanager
    def expect(self, account_id: str) -> Iterator[asyncio.Event]:
        """Lend the event that is set once the account is active; enter before the account is written."""
        event = asyncio.Event()
        self._events.setdefault(account_id, []).append(event)
        try:
            yield event
        finally:
            self._events[account_id].remove(event)
            if not self._events[account_id]:
                del self._events[account_id]

    def settle(self, account_ids: Iterable[str]) -> None:
        """Wake whoever waits for these accounts; call after the commit."""
        for account_id in account_ids:
            for event in self._events.get(account_id, ()):
                event.set()
