"""Moves money between accounts as impatient clients do, and remembers every answer: by key, word for word.

A request whose outcome is unknown is sent again with the same key until an answer comes. Some are sent twice although
they were answered, at once or later, some do not wait, some come in batches of either mode.
"""

import asyncio
import random
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx2

from tests.support.chaos_api import PASSING, Api, Person

FINAL = frozenset({"posted", "refused", "blocked", "voided"})
DEPOSIT = "deposits"
TRANSFER = "transfers"
BATCH = "batch"
_PATHS = {DEPOSIT: "/api/v1/deposits", TRANSFER: "/api/v1/transfers", BATCH: "/api/v1/transfers/batch"}

_OUTSTANDING_MAX = 800
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 120.0
_MORE_THAN_ANYBODY_HAS_MINOR = 900_000


@dataclass(frozen=True)
class Answer:
    """What was said of one transfer. `status` is the transfer's own; `http_status` that of a request for it alone."""

    http_status: int
    transfer_id: str
    status: str
    code: str


@dataclass
class Move:
    """One transfer asked for under one key, and everything that was ever answered about it."""

    principal_id: str
    scope: str
    key: str
    source_account_id: str
    destination_account_id: str
    amount_minor: int
    answers: list[Answer] = field(default_factory=list)
    together: str = ""
    """The same for all transfers of one atomic batch, else empty."""

    def __str__(self) -> str:
        return f"{self.scope} {self.key} {[(answer.http_status, answer.status) for answer in self.answers]}"


@dataclass(frozen=True)
class Request:
    """One HTTP request for one or more transfers; sent again it is the same, byte for byte."""

    person: Person
    scope: str
    body: Mapping[str, Any]
    moves: Sequence[Move]
    prefer: str = ""


class Load:
    """Sends requests at a rate, from `start` to `finish`; afterwards `moves` tells what was asked and answered."""

    def __init__(self, api: Api, customers: Sequence[Person], *, rng: random.Random, rate: float) -> None:
        """`rate` is requests per second; a batch is one of them."""
        self._api = api
        self._customers = customers
        self._accounts = [account_id for person in customers for account_id in person.account_ids]
        self._rng = rng
        self._rate = rate
        self._name = f"{rng.getrandbits(64):016x}"
        self._pacer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._requests: dict[str, Request] = {}
        self.moves: list[Move] = []
        self.tries: Counter[str] = Counter()
        """HTTP status or exception → how often."""
        self.unexpected: list[str] = []
        """Answers that no outage explains."""
        self.posted: list[tuple[float, float]] = []
        """(first sent at, answered 201 at) in seconds of the monotonic clock, in order of the answers."""

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

    async def deposit(self, operator: Person, account_id: str, amount_minor: int) -> None:
        """Credit an account from the reserve, whatever it takes."""
        move = self._move(operator, DEPOSIT, "", account_id, amount_minor)
        body = {"account_id": account_id, "amount_minor": amount_minor, "asset": "USD", "reference": "cash"}
        await self._until_answered(Request(operator, DEPOSIT, body, [move]))

    async def pay(self, destination_account_id: str, amount_minor: int) -> Move:
        """Pay somebody outside the circle; return when it was answered."""
        person = self._rng.choice(self._customers)
        source = self._rng.choice(person.account_ids)
        request = self._single(person, source, destination_account_id, amount_minor, prefer="wait=1")
        await self._until_answered(request)
        return request.moves[0]

    async def ask_again(self, moves: Sequence[Move]) -> None:
        """Send the requests of these moves once more, one after the other."""
        for move in moves:
            await self._until_answered(self._requests[move.key])

    def first_post_after(self, moment: float) -> float | None:
        """Return when the first 201 came for something that was first sent after this moment, or None."""
        first = bisect_left(self.posted, moment, key=lambda post: post[1])
        return next((answered for sent, answered in islice(self.posted, first, None) if sent >= moment), None)

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
            self._spawn(self._until_answered(self._batch("independent", size=8)))
        elif kind < 0.08:
            self._spawn(self._until_answered(self._batch("atomic", size=4)))
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
        request = self._single(person, source, destination, amount_minor, prefer=prefer)
        copies = 0.0 if (luck := self._rng.random()) >= 0.1 else luck
        if 0.0 < copies < 0.05:
            await asyncio.gather(self._until_answered(request), self._until_answered(request))
        else:
            await self._until_answered(request)
            if copies:
                await asyncio.sleep(self._rng.random())
                await self._until_answered(request)

    def _single(self, person: Person, source: str, destination: str, amount_minor: int, *, prefer: str) -> Request:
        move = self._move(person, TRANSFER, source, destination, amount_minor)
        return Request(person, TRANSFER, _body_of(move), [move], prefer)

    def _batch(self, mode: str, *, size: int) -> Request:
        person = self._rng.choice(self._customers)
        moves = []
        for _ in range(size):
            source, destination = self._rng.sample(person.account_ids, 2)
            moves.append(self._move(person, BATCH, source, destination, self._rng.randint(1, 500)))
        if self._rng.random() < 0.1:
            moves[-1].amount_minor = _MORE_THAN_ANYBODY_HAS_MINOR
        if mode == "atomic":
            for move in moves:
                move.together = moves[0].key
        body = {"mode": mode, "transfers": [{"idempotency_key": move.key, **_body_of(move)} for move in moves]}
        return Request(person, BATCH, body, moves, prefer="wait=5")

    def _move(self, person: Person, scope: str, source: str, destination: str, amount_minor: int) -> Move:
        key = f"{self._name}-{len(self.moves)}"
        move = Move(person.user_id, scope, key, source, destination, amount_minor)
        self.moves.append(move)
        return move

    async def _until_answered(self, request: Request) -> None:
        """Send until every transfer of the request has an answer that names it."""
        began = time.monotonic()
        is_first = all(not move.answers for move in request.moves)
        self._requests |= {move.key: request for move in request.moves}
        while True:
            answers = await self._try(request)
            if all(answer.transfer_id for answer in answers):
                break
            assert time.monotonic() - began < _PATIENCE_SECONDS, f"no answer for {[str(m) for m in request.moves]}"
            await asyncio.sleep(_PAUSE_SECONDS)
        if is_first and all(answer.http_status == 201 for answer in answers):
            self.posted.append((began, time.monotonic()))

    async def _try(self, request: Request) -> Sequence[Answer]:
        """Send once; an answer without a transfer's id means that the outcome is unknown."""
        headers = {"Idempotency-Key": request.moves[0].key} if request.scope != BATCH else {}
        if request.prefer:
            headers["Prefer"] = request.prefer
        nothing = [Answer(0, "", "", "")] * len(request.moves)
        try:
            response = await self._api.ask("POST", _PATHS[request.scope], request.person, request.body, **headers)
        except httpx2.TransportError as failure:
            self.tries[type(failure).__name__] += 1
            return nothing
        self.tries[f"{request.scope} {response.status_code}"] += 1
        if response.status_code in PASSING:
            return nothing
        content = response.json()
        results = content.get("results") if request.scope == BATCH else [content]
        if results is None:
            results = [content] * len(request.moves)
        answers = [self._read(response.status_code, result) for result in results]
        for move, answer in zip(request.moves, answers, strict=True):
            if answer.transfer_id:
                move.answers.append(answer)
            elif answer.http_status not in PASSING and answer.code != "request_in_progress":
                self.unexpected.append(f"{move}: {response.status_code} {response.text[:300]}")
        return answers

    @staticmethod
    def _read(http_status: int, result: Mapping[str, Any]) -> Answer:
        """Read a transfer's document, a problem, or one of a batch's results."""
        problem = result.get("problem", result)
        if "problem" in result:
            http_status = problem["status"]
        elif result.get("status") in {"accepted", "held", "parked"}:
            http_status = 202
        elif result.get("status") == "posted":
            http_status = 201
        transfer_id = problem.get("transfer_id", "")
        status = problem.get("transfer_status", problem.get("status", ""))
        return Answer(http_status, transfer_id, str(status), problem.get("code", ""))


def _body_of(move: Move) -> dict[str, Any]:
    return {
        "source_account_id": move.source_account_id,
        "destination_account_id": move.destination_account_id,
        "amount_minor": move.amount_minor,
        "asset": "USD",
    }
