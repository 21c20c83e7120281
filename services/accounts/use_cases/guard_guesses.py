"""Whoever guesses passwords or codes waits longer and longer, about one account and from one address."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import TallystickError, TooManyRequests
from libs.common.http.client_address import neighbourhood_of
from libs.common.ids import new_id
from libs.common.personal.sealing import Sealer, sealer_of
from services.accounts.domain.guesses import FOR_ACCOUNT, FOR_ADDRESS, Patience, count_guess, uncount_guess
from services.accounts.metrics import LOGINS
from services.accounts.store.guesses import has_been_at, lock_guesses, save_guesses

_WRONG: Final = frozenset({"invalid_credentials", "password_wrong", "second_factor_wrong"})
_SECOND: Final = timedelta(seconds=1)

_Subjects = Mapping[bytes, Patience]


class GuardGuesses:
    """Counts a guess before it is looked at, so that however many come at once, no more are looked at than may be.

    From an address where the customer has been logged in lately, guesses about him count by themselves: whoever guesses
    elsewhere, or makes that address wait, does not lock him out there.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    @asynccontextmanager
    async def guess(
        self, *, email: str, user_id: str | None, address: str, is_whole_proof: bool
    ) -> AsyncIterator[None]:
        """Look at one guess about the e-mail inside; nobody learns by it whether somebody has that e-mail.

        What fails as a wrong password or code counts, and what else happens counts as nothing. What ends well begins
        the count anew if it is the whole proof: who has only one of password and code buys no guesses of the other.
        Locks: the counts, for a moment before and after.
        Raises: TooManyRequests `login_locked`, Unavailable.
        """
        subjects = await self._take(email, user_id, address)
        try:
            yield
        except TallystickError as failure:
            if failure.code not in _WRONG:
                await self._give_back(subjects, begins_anew=False)
            raise
        await self._give_back(subjects, begins_anew=is_whole_proof)

    async def forget(self, tx: Transaction, email: str) -> None:
        """Begin the count about an e-mail anew: its owner has proved himself otherwise."""
        subject = _subject(sealer_of(tx.connection), "account", email)
        await self._uncount(tx, {subject: FOR_ACCOUNT}, begins_anew=True)

    async def _take(self, email: str, user_id: str | None, address: str) -> _Subjects:
        async with self._uow.begin() as tx:
            # Asked about nobody, too: the answer takes as long.
            is_at_home = await has_been_at(tx.connection, user_id or new_id(), address)
            subjects = _subjects(sealer_of(tx.connection), email, address, is_at_home=is_at_home)
            counts = await lock_guesses(tx.connection, subjects, self._clock())
            now = self._clock()  # who was waiting for the counts may have waited long
            locks = [count.locked_until for count in counts if count.is_locked(now)]
            if locks:
                raise _locked(max(locks), now)
            for count in counts:
                await save_guesses(tx.connection, count_guess(count, subjects[count.subject], now))
        return subjects

    async def _give_back(self, subjects: _Subjects, *, begins_anew: bool) -> None:
        async with self._uow.begin() as tx:
            await self._uncount(tx, subjects, begins_anew=begins_anew)

    async def _uncount(self, tx: Transaction, subjects: _Subjects, *, begins_anew: bool) -> None:
        for count in await lock_guesses(tx.connection, subjects, self._clock()):
            patience = subjects[count.subject]
            # A right guess of one's own does not clear an address from which others' passwords are guessed.
            if begins_anew and patience is FOR_ACCOUNT:
                uncounted = replace(count, wrong=0, locked_until=count.last_at)
            else:
                uncounted = uncount_guess(count, patience)
            await save_guesses(tx.connection, uncounted)


def _subjects(sealer: Sealer, email: str, address: str, *, is_at_home: bool) -> _Subjects:
    if is_at_home:
        return {_subject(sealer, "account-at", f"{email} {address}"): FOR_ACCOUNT}
    return {
        _subject(sealer, "account", email): FOR_ACCOUNT,
        _subject(sealer, "address", neighbourhood_of(address)): FOR_ADDRESS,
    }


def _subject(sealer: Sealer, kind: str, name: str) -> bytes:
    # No e-mail begins so: these hashes tell nothing about those by which customers are found.
    return sealer.search_hash(f"guess {kind} {name}")


def _locked(until: datetime, now: datetime) -> TooManyRequests:
    LOGINS.labels("locked").inc()
    seconds = -((now - until) // _SECOND)
    return TooManyRequests(
        "login_locked",
        f"Too many wrong attempts; try again in {seconds} s, or set a new password.",
        retry_after_seconds=seconds,
    )
