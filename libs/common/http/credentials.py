"""How a process knows what a caller's credentials are worth: keys, revocations as they are said, and the owner's word.

A revocation comes over the bus within half a second. Because a message may be lost, the owner is asked every two
seconds, too, with an overlap for transactions that commit late. A process that has just started asks for everything
that may still matter, and believes nobody before it has the answer: else a restart would revive what was revoked.
While the owner is away, tokens that are known go on: nobody but he revokes, so nothing is missed meanwhile.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import structlog

from libs.common.clock import from_rfc3339, monotonic_seconds, to_rfc3339, unix_seconds
from libs.common.contracts.topics import CREDENTIALS
from libs.common.errors import Unavailable
from libs.common.http.api_keys import KnownKeys
from libs.common.http.auth import TokenVerifier
from libs.common.http.credential_owner import CredentialOwner
from libs.common.http.health import Health
from libs.common.http.on_credentials_revoked import OnCredentialsRevoked
from libs.common.http.revocations import Revocations
from libs.common.messaging.bus import Bus

log = structlog.get_logger()

_LOOK_SECONDS: Final = 2.0
_FIRST_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 10.0
"""So long services that start together may wait for one another before it is worth a warning."""
_OVERLAP: Final = timedelta(seconds=30)
"""As long as a transaction may idle before the database ends it."""


class Credentials:
    """What one process knows; its `verifier` answers requests. Within `async with` it asks, if it follows a bus."""

    def __init__(self, jwks_file: Path, owner: CredentialOwner, *, max_auth_age_seconds: int = 0) -> None:
        """Follow the bus, or be part of a process that answers nobody."""
        self._owner = owner
        self.revocations = Revocations()
        self.revocations.are_known = False
        self._since = ""
        self._task: asyncio.Task[None] | None = None
        self._is_followed = False
        self._unread_since: float | None = None
        self._told_as: Literal["usual", "unusual"] | None = None
        keys = KnownKeys(owner, self.revocations, unix_seconds)
        self.verifier: Final = TokenVerifier(
            jwks_file, self.revocations, keys=keys, max_auth_age_seconds=max_auth_age_seconds
        )

    def follow(self, bus: Bus, health: Health, service: str) -> None:
        """Hear of revocations on the bus, which is to be started before this is entered: then nothing is missed."""
        bus.follow({CREDENTIALS: OnCredentialsRevoked(self.revocations)}, patient=True)
        health.add(f"{service}.credentials", self._what_is_wrong)
        self._is_followed = True

    async def __aenter__(self) -> None:
        if self._is_followed:
            self._task = asyncio.create_task(self._repeat(), name="credentials")

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._owner.close()

    def _what_is_wrong(self) -> str | None:
        return None if self.revocations.are_known else "accounts has not yet told which credentials were revoked"

    async def look(self) -> None:
        """Ask once. Raises: Unavailable."""
        as_of, after = "", ""
        while True:
            page = await self._owner.revoked(since=self._since, after=after)
            for revoked in page.revocations:
                self.revocations.take(revoked)
            as_of, after = as_of or page.as_of, page.next_after
            if not after:
                break
        self._since = to_rfc3339(from_rfc3339(as_of) - _OVERLAP)
        self.revocations.are_known = True

    async def _repeat(self) -> None:
        while True:
            await self._look_and_tell()
            await asyncio.sleep(_LOOK_SECONDS if self.revocations.are_known else _FIRST_LOOK_SECONDS)

    async def _look_and_tell(self) -> None:
        """Ask once, and log what has changed since the last time."""
        try:
            await self.look()
        except Unavailable as reason:
            self._tell_unread(reason.code)
        except Exception:  # one bad answer must not end the net; the next round asks again
            log.exception("revocations_not_understood")
        else:
            if self._told_as is not None:
                log.info("revocations_read")
                self._told_as = self._unread_since = None

    def _tell_unread(self, code: str) -> None:
        """Say once that the owner is away, and once more when a start has waited for him too long to be usual."""
        now = monotonic_seconds()
        if self._unread_since is None:
            self._unread_since = now
        is_usual = not self.revocations.are_known and now - self._unread_since < _PATIENCE_SECONDS
        if is_usual and self._told_as is None:
            log.info("revocations_not_read", code=code)
            self._told_as = "usual"
        elif not is_usual and self._told_as != "unusual":
            log.warning("revocations_not_read", code=code)
            self._told_as = "unusual"
