"""Requests that wait a moment for news: of their payee's account, or of what their asset is worth.

A projection lags by moments, and so may a rate that an operator adds beside the asset. Such a request waits for up to
two seconds while the others go on; then it is judged as it stands. What waits lives in memory only: the gateway repeats
a request until its outcome is known.
"""

from collections.abc import Collection, Sequence
from typing import Final

from services.fraud.use_cases.find_payees import Asked, accounts_without_owner

PATIENCE_SECONDS: Final = 2.0
WAITING_MAX: Final = 10_000
_GIVEN_UP: Final = float("-inf")


class SetAside:
    """Requests that wait for news, each until a moment of the monotonic clock. Bounded."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[str, tuple[Asked, float]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def may_wait(self, asked: Asked, now_seconds: float) -> bool:
        """Set the request aside, and tell whether it may wait on; a repetition does not get more time."""
        _, until = self._waiting.get(asked.key, (asked, now_seconds + PATIENCE_SECONDS))
        if now_seconds >= until or (asked.key not in self._waiting and len(self._waiting) >= WAITING_MAX):
            return False
        self._waiting[asked.key] = (asked, until)
        return True

    def everyone(self) -> list[Asked]:
        """Return all who wait, the longest waiting first."""
        return [asked for asked, until in self._waiting.values() if until > _GIVEN_UP]

    def give_up(self, asked: Sequence[Asked]) -> None:
        """Look for these no more; their next repetition is judged as it stands."""
        for one in asked:
            self._waiting[one.key] = (one, _GIVEN_UP)

    def done(self, asked: Sequence[Asked]) -> None:
        """Stop keeping requests that were decided."""
        if self._waiting:
            for one in asked:
                self._waiting.pop(one.key, None)


def assets_of(asked: Sequence[Asked]) -> set[str]:
    """Return the assets that these move."""
    return {leg.asset for one in asked for command in one.commands for leg in command.legs}


def judge_now(
    asked: Sequence[Asked],
    set_aside: SetAside,
    now_seconds: float,
    *,
    owned: Collection[str],
    valued: Collection[str],
) -> list[Asked]:
    """Return the requests that can be judged now: nothing is missing, or they have waited long enough for it.

    `owned` are the accounts found for the gateway, `valued` the assets with a rate. The others are set aside.
    """
    return [one for one in asked if not (_lacks_something(one, owned, valued) and set_aside.may_wait(one, now_seconds))]


def _lacks_something(asked: Asked, owned: Collection[str], valued: Collection[str]) -> bool:
    return any(account_id not in owned for account_id in accounts_without_owner([asked])) or any(
        asset not in valued for asset in assets_of([asked])
    )
