"""Password hashes: Argon2id (RFC 9106), off the event loop and never more at once than the machine has cores."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from libs.common.errors import Unavailable
from services.accounts.domain.password import canonical_password, folded_password, require_acceptable

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. argon2-cffi's own default takes 64 MiB and four
# threads, which on two cores would stall every payment while somebody logs in.
HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, encoding="utf-8", type=Type.ID
)
# By how often they were found in breaches, as zxcvbn ships them.
COMMON_PASSWORDS: Final = frozenset(folded_password(text) for text in FREQUENCY_LISTS["passwords"][:10_000])
_AT_ONCE: Final = 2
_WAITING_MAX: Final = 32
_WAIT_SECONDS: Final = 3.0
"""For a turn. The gateway gives up after 10 s, and then its caller hears only that accounts does not answer."""

_Answer = TypeVar("_Answer")


class Passwords:
    """Hashes and verifies. Beyond a bound of waiting calls, or of seconds, it says so instead of queueing on."""

    def __init__(self, hasher: PasswordHasher = HASHER) -> None:
        """Make the hash that unknown e-mails are verified against; tests that hash much take a cheaper hasher."""
        self._hasher: Final = hasher
        self._turn: Final = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys_hash: Final = hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the hash to store, parameters and salt included. Raises: Unavailable `login_busy`."""
        return await self._run(self._hasher.hash, canonical_password(password))

    async def hash_anew(self, stored_hash: str, password: str) -> str | None:
        """Return a hash with the parameters of now for a password that fits; None when the stored one has them.

        Raises: Unavailable `login_busy`.
        """
        return await self.hash(password) if self._hasher.check_needs_rehash(stored_hash) else None

    def require_acceptable(self, password: str, *, email: str, full_name: str) -> None:
        """Let pass what nobody tries first. Raises: Unprocessable `password_common`, `password_personal`."""
        require_acceptable(password, common=COMMON_PASSWORDS, email=email, full_name=full_name)

    async def verify(self, stored_hash: str | None, password: str) -> bool:
        """Tell whether the password fits; without a stored hash it takes the same time and does not fit.

        Raises: Unavailable `login_busy`.
        """
        known = stored_hash is not None
        fits = await self._run(_verify, stored_hash or self._nobodys_hash, canonical_password(password))
        return known and fits

    async def _run(self, work: Callable[..., _Answer], *arguments: str) -> _Answer:
        if self._waiting >= _WAITING_MAX:
            raise _busy()
        self._waiting += 1
        try:
            await self._take_turn()
            try:
                # Argon2 gives up the interpreter lock, so the loop goes on meanwhile.
                return await asyncio.to_thread(work, *arguments)
            finally:
                self._turn.release()
        finally:
            self._waiting -= 1

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as failure:
            raise _busy() from failure


def _busy() -> Unavailable:
    return Unavailable("login_busy", "Too many people log in at this moment; try again in a second.")


def _verify(stored_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(stored_hash, password)
    except VerifyMismatchError:
        return False
