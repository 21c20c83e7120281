"""A customer as the limits see him when he sends."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.fraud.domain.bounds import Bounds
from services.fraud.domain.policy import UNBOUNDED
from services.fraud.domain.window import Window


@dataclass(slots=True)
class Payer:
    """What is known of a sender at `version` of his row; 0 when he has none yet.

    `last_decided_us` is the time of his latest decision, µs since 1970 UTC, 0 before the first. The window runs ahead
    while a work decides; `follow` or `undo` brings both together again.
    """

    user_id: str
    version: int
    profile: str
    kyc_tier: int
    kyc_version: int
    last_decided_us: int
    window: Window
    personal: Bounds = UNBOUNDED
    account_since_us: int = 0
    """When his first account was opened, µs since 1970 UTC; 0 unknown."""
    kyc_since_us: int = 0
    """When his KYC last changed, likewise."""
    documents_shared_us: Sequence[int] = ()
    """When documents of his turned out to be somebody else's as well, likewise."""

    def moment(self, now_us: int) -> int:
        """Return the time of a decision made now: his own time never goes back, even where the server's does."""
        return now_us if now_us > self.last_decided_us else self.last_decided_us  # noqa: FURB136 -- max() is a call

    def follow(self, now_us: int) -> None:
        """Be at the next version: what was decided at `now_us` has been written."""
        self.version += 1
        self.last_decided_us = self.moment(now_us)
        self.window.compact()

    def undo(self, slots: int) -> None:
        """Be at this version again: nothing was written of what was decided since, nor of the slots it took."""
        for _ in range(slots):
            self.window.take_back()
        self.window.rewind(self.last_decided_us)


def newest_tier(*, tier: int, version: int, seen_tier: int, seen_version: int) -> int:
    """Return the KYC tier of whichever is newer: our projection, or what the gateway saw when it took the command."""
    return seen_tier if seen_version > version else tier
