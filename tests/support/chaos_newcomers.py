"""People who join while everything dies around them: paid before they are verified, and released by the approval."""

import asyncio
import random
import time

from tests.support.chaos_stack import Circle
from tests.support.load import Load
from tests.support.load_requests import Move

_PAYMENTS = 3


class Newcomers:
    """Lets one person after the other through registration, a first account, KYC and held payments, until stopped."""

    def __init__(self, circle: Circle, load: Load, rng: random.Random) -> None:
        self._circle = circle
        self._load = load
        self._rng = rng
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.payments: list[Move] = []
        """What was paid to people whose verification was pending then."""
        self.slowest_seconds = 0.0
        """The longest that anybody took from the registration to the approval."""

    def start(self) -> None:
        """Let the first one come."""
        self._task = asyncio.create_task(self._keep_coming(), name="newcomers")

    async def finish(self) -> None:
        """Let the one who is under way arrive, and nobody after him. Raises: what kept somebody from arriving."""
        self._stopping = True
        if self._task is not None:
            await self._task

    def check_all_posted(self) -> None:
        """Check that every payment was posted at last. Raises: AssertionError."""
        late = [str(move) for move in self.payments if move.answers[-1].http_status != 201]
        assert late == [], f"paid to people who were verified then, and not posted: {late}"

    async def _keep_coming(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            await self._arrive()
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            await asyncio.sleep(self._rng.uniform(0.2, 1.0))

    async def _arrive(self) -> None:
        api = self._circle.api
        person = await api.register(f"newcomer.{self._rng.getrandbits(64):016x}@example.com")
        account_id = await api.open_account(person)
        await api.apply_for_kyc(person)
        self.payments += await asyncio.gather(
            *(self._load.pay(account_id, self._rng.randint(1, 100)) for _ in range(_PAYMENTS))
        )
        await asyncio.sleep(self._rng.uniform(0.0, 0.5))
        await api.approve(self._circle.admin, person)
