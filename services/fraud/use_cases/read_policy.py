"""The limits and rates in force, read again now and then: a changed row needs no restart, a new one no patience."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

import asyncpg

from libs.common.clock import monotonic_seconds
from services.fraud.domain.policy import Policy
from services.fraud.store.policy import load_policy

FRESH_SECONDS: Final = 10.0


class PolicyInForce:
    """The policy, at most ten seconds old. Every decision stores the versions it used."""

    def __init__(self, *, velocity_lifted: bool, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        """With `velocity_lifted` counts and daily sums are beyond reach, for measuring speed; nothing else differs."""
        self._velocity_lifted = velocity_lifted
        self._monotonic = monotonic
        self._policy: Policy | None = None
        self._read_at = 0.0

    async def read(self, connection: asyncpg.Connection, assets: AbstractSet[str] = frozenset()) -> Policy:
        """Return the policy, read just now if it had no rate for one of these assets.

        Raises whatever the database raises: without limits nothing is decided.
        """
        now = self._monotonic()
        if self._policy is None or now - self._read_at > FRESH_SECONDS or not assets <= self._policy.rates.keys():
            policy = await load_policy(connection)
            self._policy = policy.with_velocity_lifted() if self._velocity_lifted else policy
            self._read_at = now
        return self._policy
