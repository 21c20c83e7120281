"""What impatient clients do about a transfer that is there: capture it, void it, forget it, give it back.

Each story goes on whatever is answered, also when it is not known yet whether there is a hold: then a capture may even
come to the ledger before it.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence

from tests.support.chaos_api import Person
from tests.support.load_requests import CAPTURE, REVERSAL, TRANSFER, VOID, Move
from tests.support.load_sender import Sender

_SHORT_SECONDS = (1, 2)
_LONG_SECONDS = 24 * 3600
"""Longer than any run: such a hold is open as long as nobody ends it."""


class Stories:
    """Holds from their beginning to their end, and money that comes back."""

    def __init__(
        self, sender: Sender, customers: Sequence[Person], owners: Mapping[str, Person], rng: random.Random
    ) -> None:
        """`owners` is account id → whose it is: he can give back what it got."""
        self._sender = sender
        self._customers = customers
        self._owners = owners
        self._rng = rng

    async def hold(self) -> None:
        """Ask for a hold, and end it in one of many ways, or leave it to the clock, or alone."""
        rng = self._rng
        hold_seconds = rng.choice((*_SHORT_SECONDS, _LONG_SECONDS, _LONG_SECONDS, _LONG_SECONDS))
        person, move = self._begin(hold_seconds)
        await self._sender.transfer(person, move, prefer="respond-async" if rng.random() < 0.05 else "")
        if move.answers[-1].status not in ("held", "accepted"):
            return
        transfer_id, half_minor = move.answers[-1].transfer_id, move.amount_minor // 2
        ending = rng.randrange(7)
        if ending == 0:
            await self._capture(person, move)
            await self._give_back(move)
        elif ending == 1:
            await self._capture(person, move, half_minor)
            await self._capture(person, move, half_minor - 1, is_final=True)
            await self._give_back(move)
        elif ending == 2:  # parts at once, in no order: together they are all of it, or more than there is
            parts = (half_minor, half_minor, move.amount_minor - half_minor)
            await asyncio.gather(*(self._capture(person, move, part_minor) for part_minor in parts))
        elif ending == 3:
            await self._sender.command(person, VOID, transfer_id, copies=self._copies())
        elif ending == 4:
            await asyncio.gather(self._capture(person, move), self._sender.command(person, VOID, transfer_id))
        elif ending == 5:
            await self._capture(person, move, half_minor)  # the rest is left to the clock, or open

    async def give_back(self) -> None:
        """Pay somebody who gives it back, in one of many ways."""
        person, move = self._begin(hold_seconds=0)
        await self._sender.transfer(person, move)
        if move.answers[-1].status == "posted":
            await self._give_back(move)

    def _begin(self, hold_seconds: int) -> tuple[Person, Move]:
        rng = self._rng
        person = rng.choice(self._customers)
        source, destination = rng.choice(person.account_ids), rng.choice(list(self._owners))
        while destination == source:
            destination = rng.choice(list(self._owners))
        move = self._sender.move(person, TRANSFER, source, destination, rng.randint(4, 500), hold_seconds=hold_seconds)
        return person, move

    async def _capture(
        self, person: Person, move: Move, amount_minor: int | None = None, *, is_final: bool = False
    ) -> None:
        transfer_id = move.answers[-1].transfer_id
        copies = self._copies()
        await self._sender.command(person, CAPTURE, transfer_id, amount_minor, is_final=is_final, copies=copies)

    async def _give_back(self, move: Move) -> None:
        """Reverse all of it, a part, parts, too much, or all of it twice at once."""
        part_minor = self._rng.randint(1, move.amount_minor // 2)
        for together in self._rng.choice(
            ([None], [part_minor], [part_minor, None], [part_minor, move.amount_minor], [(None, None)])
        ):
            amounts = together if isinstance(together, tuple) else (together,)
            payee, transfer_id = self._owners[move.destination_account_id], move.answers[-1].transfer_id
            send, copies = self._sender.command, self._copies()
            await asyncio.gather(*(send(payee, REVERSAL, transfer_id, each, copies=copies) for each in amounts))

    def _copies(self) -> int:
        return 2 if self._rng.random() < 0.1 else 1
