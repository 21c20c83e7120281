"""Sends what was asked for until there is an answer, with the same key each time, and remembers every answer."""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import httpx2

from tests.support.chaos_api import PASSING, Api, Person
from tests.support.load_requests import BATCH, TRANSFER, Answer, Asked, Command, Move, Request, body_of, read_answer

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
"""Hundreds of clients who ask ten times a second keep two cores from recovering."""
_PATIENCE_SECONDS = 240.0
"""Longer than the broker stays away, and a request of its own waits for what it left."""


COMING = frozenset({"request_in_progress", "transfer_undecided"})
"""Codes of conflicts with what is under way: sent again in a moment, the request is answered."""


class Sender:
    """An impatient client: `moves` and `commands` tell afterwards what was asked and answered."""

    def __init__(self, api: Api, name: str) -> None:
        """`name` begins every key."""
        self._api = api
        self._name = name
        self._requests: dict[str, Request] = {}
        self.moves: list[Move] = []
        self.commands: list[Command] = []
        self.tries: Counter[str] = Counter()
        """HTTP status or exception → how often."""
        self.unexpected: list[str] = []
        """Answers that no outage explains."""
        self.posted: list[tuple[float, float]] = []
        """(first sent at, answered 201 at) in seconds of the monotonic clock, in order of the answers."""

    def move(
        self, person: Person, scope: str, source: str, destination: str, amount_minor: int, *, hold_seconds: int = 0
    ) -> Move:
        """Make a transfer of its own key, to be sent."""
        key = f"{self._name}-{len(self.moves)}"
        move = Move(person.user_id, scope, key, source, destination, amount_minor, hold_seconds=hold_seconds)
        self.moves.append(move)
        return move

    async def transfer(self, person: Person, move: Move, *, prefer: str = "") -> None:
        """Ask for a transfer that is alone in its request."""
        await self.send(Request(person, TRANSFER, body_of(move), [move], prefer))

    async def command(
        self,
        person: Person,
        scope: str,
        transfer_id: str,
        amount_minor: int | None = None,
        *,
        is_final: bool = False,
        copies: int = 1,
    ) -> None:
        """Ask for something to be done once about a transfer, by so many requests of one key at the same time."""
        key = f"{self._name}-command-{len(self.commands)}"
        command = Command(person.user_id, scope, key, transfer_id, amount_minor, is_final)
        self.commands.append(command)
        request = Request(person, scope, command.body, [command])
        await asyncio.gather(*(self.send(request) for _ in range(copies)))

    async def ask_again(self, asked: Sequence[Asked]) -> None:
        """Send the requests for these once more, one after the other."""
        for request in {id(request): request for request in (self._requests[each.key] for each in asked)}.values():
            await self.send(request)

    def first_post_after(self, moment: float) -> float | None:
        """Return when the first 201 came for something that was first sent after this moment, or None."""
        first = bisect_left(self.posted, moment, key=lambda post: post[1])
        return next((answered for sent, answered in islice(self.posted, first, None) if sent >= moment), None)

    async def seconds_until_posted(self, moment: float, *, at_most: float) -> float:
        """Return how long it took from this moment until something first sent after it was answered 201.

        Raises: AssertionError when nothing was within `at_most`.
        """
        while (answered_at := self.first_post_after(moment)) is None:
            assert time.monotonic() - moment < at_most, f"nothing was posted for {at_most:.0f} s"
            await asyncio.sleep(0.02)
        return answered_at - moment

    async def send(self, request: Request) -> None:
        """Send until everything in the request has an answer that names it."""
        began, pause_seconds = time.monotonic(), _FIRST_PAUSE_SECONDS
        is_first = all(not each.answers for each in request.asked)
        while True:
            answers = await self.send_once(request)
            if all(answer.is_named for answer in answers):
                break
            assert time.monotonic() - began < _PATIENCE_SECONDS, f"no answer for {[str(e) for e in request.asked]}"
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        if is_first and all(answer.http_status == 201 for answer in answers):
            self.posted.append((began, time.monotonic()))

    async def send_once(self, request: Request) -> Sequence[Answer]:
        """Send once; an answer that names nothing means that the outcome is unknown."""
        self._requests |= {each.key: request for each in request.asked}
        headers = {"Idempotency-Key": request.asked[0].key} if request.scope != BATCH else {}
        if request.prefer:
            headers["Prefer"] = request.prefer
        nothing = [Answer(0, "", "", "")] * len(request.asked)
        try:
            response = await self._api.ask("POST", request.path, request.person, request.body, **headers)
        except httpx2.TransportError as failure:
            self.tries[type(failure).__name__] += 1
            return nothing
        self.tries[f"{request.scope} {response.status_code}"] += 1
        if response.status_code in PASSING:
            return nothing
        content = response.json()
        results = content.get("results") if request.scope == BATCH else [content]
        if results is None:
            results = [content] * len(request.asked)
        answers = [read_answer(request.scope, response.status_code, result) for result in results]
        for each, answer in zip(request.asked, answers, strict=True):
            if answer.is_named:
                each.answers.append(answer)
            elif answer.http_status not in PASSING and answer.code not in COMING:
                self.unexpected.append(f"{each}: {response.status_code} {response.text[:300]}")
        return answers
