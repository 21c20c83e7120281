"""Moves money between accounts as impatient clients do, and remembers every answer: by key, word for word.

A request whose outcome is unknown is sent again with the same key until an answer comes. Some are sent twice although
they were answered, at once or later, some do not wait, some come in batches of either mode. Some are holds, whose
stories go on (`load_stories.py`), and some are given back.
"""

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from libs.common.ids import system_account_id
from tests.support.chaos_api import Api, Person
from tests.support.load_requests import BATCH, DEPOSIT, TRANSFER, WITHDRAWAL, Move, Request, body_of
from tests.support.load_sender import Sender
from tests.support.load_stories import Stories

_RESERVE = system_account_id("USD", "SYS-RESERVE-0001")
_OUTSTANDING_MAX = 800
_MORE_THAN_ANYBODY_HAS_MINOR = 900_000


class Load(Sender):
    """Sends requests at a rate, from `start` to `finish`; in shares that are drawn."""

    def __init__(
        self, api: Api, customers: Sequence[Person], *, operator: Person, rng: random.Random, rate: float
    ) -> None:
        """`rate` is requests per second; a batch is one of them, and so is all that is done about one transfer."""
        super().__init__(api, f"{rng.getrandbits(64):016x}")
        self._customers = customers
        self._operator = operator
        self._accounts = [account_id for person in customers for account_id in person.account_ids]
        self._owners = {account_id: person for person in customers for account_id in person.account_ids}
        self._rng = rng
        self._rate = rate
        self._stories = Stories(self, customers, self._owners, rng)
        self._pacer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    def start(self) -> None:
        """Begin to send."""
        self._pacer = asyncio.create_task(self._keep_pace(), name="load")

    async def finish(self) -> None:
        """Begin nothing more and wait until everything that was asked is answered."""
        if self._pacer is not None:
            self._pacer.cancel()
            await asyncio.gather(self._pacer, return_exceptions=True)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failures:
            raise BaseExceptionGroup(f"{len(self._failures)} requests could not be driven", self._failures)

    async def deposit(self, account_id: str, amount_minor: int) -> None:
        """Credit an account from the reserve, whatever it takes."""
        await self._pass_reserve(self.move(self._operator, DEPOSIT, _RESERVE, account_id, amount_minor), account_id)

    async def _withdraw(self) -> None:
        account_id = self._rng.choice(self._accounts)
        move = self.move(self._operator, WITHDRAWAL, account_id, _RESERVE, self._rng.randint(1, 50))
        await self._pass_reserve(move, account_id)

    async def _pass_reserve(self, move: Move, account_id: str) -> None:
        body = {"account_id": account_id, "amount_minor": move.amount_minor, "asset": "USD", "reference": "cash"}
        await self.send(Request(self._operator, move.scope, body, [move]))

    async def pay(self, destination_account_id: str, amount_minor: int) -> Move:
        """Pay somebody outside the circle; return when it was answered."""
        person = self._rng.choice(self._customers)
        source = self._rng.choice(person.account_ids)
        move = self.move(person, TRANSFER, source, destination_account_id, amount_minor)
        await self.transfer(person, move, prefer="wait=1")
        return move

    async def _keep_pace(self) -> None:
        next_at = time.monotonic()
        while True:
            next_at += self._rng.expovariate(self._rate)
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            if len(self._tasks) < _OUTSTANDING_MAX:
                self._begin()

    def _begin(self) -> None:
        kind = self._rng.random()
        if kind < 0.04:
            self._spawn(self.send(self._batch("independent", size=8)))
        elif kind < 0.08:
            self._spawn(self.send(self._batch("atomic", size=4)))
        elif kind < 0.18:
            self._spawn(self._stories.hold())
        elif kind < 0.24:
            self._spawn(self._stories.give_back())
        elif kind < 0.28:
            self._spawn(self._withdraw())
        else:
            self._spawn(self._send_single())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _send_single(self) -> None:
        person = self._rng.choice(self._customers)
        source, destination = self._rng.choice(person.account_ids), self._rng.choice(self._accounts)
        if source == destination:
            return
        amount_minor = self._rng.randint(1, 500)
        if self._rng.random() < 0.03:
            amount_minor = _MORE_THAN_ANYBODY_HAS_MINOR
        prefer = "respond-async" if self._rng.random() < 0.12 else ""
        move = self.move(person, TRANSFER, source, destination, amount_minor)
        request = Request(person, TRANSFER, body_of(move), [move], prefer)
        copies = 0.0 if (luck := self._rng.random()) >= 0.1 else luck
        if 0.0 < copies < 0.05:
            await asyncio.gather(self.send(request), self.send(request))
        else:
            await self.send(request)
            if copies:
                await asyncio.sleep(self._rng.random())
                await self.send(request)

    def _batch(self, mode: str, *, size: int) -> Request:
        person = self._rng.choice(self._customers)
        moves = []
        for _ in range(size):
            source, destination = self._rng.sample(person.account_ids, 2)
            moves.append(self.move(person, BATCH, source, destination, self._rng.randint(1, 500)))
        if self._rng.random() < 0.1:
            moves[-1].amount_minor = _MORE_THAN_ANYBODY_HAS_MINOR
        if mode == "atomic":
            for move in moves:
                move.together = moves[0].key
        body = {"mode": mode, "transfers": [{"idempotency_key": move.key, **body_of(move)} for move in moves]}
        return Request(person, BATCH, body, moves, prefer="wait=5")
