"""Wrong guesses of a password or a code: after some that are free, each makes the next one wait twice as long."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""After that long without a guess the count begins anew."""
_FIRST_LOCK: Final = timedelta(seconds=1)
_DOUBLINGS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How many guesses are free, and how long the longest wait is: nobody is locked out for ever."""

    free: int
    longest_lock: timedelta

    def lock_after(self, wrong: int) -> timedelta:
        """Return how long the next guess waits after so many wrong ones: 0, then 1, 2, 4 … seconds."""
        if wrong < self.free:
            return timedelta(0)
        return min(_FIRST_LOCK * (1 << min(wrong - self.free, _DOUBLINGS_MAX)), self.longest_lock)


FOR_ACCOUNT: Final = Patience(free=5, longest_lock=timedelta(minutes=15))
FOR_ADDRESS: Final = Patience(free=50, longest_lock=timedelta(minutes=1))
"""Many people share an address, such as an office's."""


@dataclass(frozen=True, slots=True)
class Guesses:
    """How often was guessed in vain about a subject, an e-mail or an address, known by a keyed hash alone."""

    subject: bytes
    wrong: int
    locked_until: datetime
    last_at: datetime

    def is_locked(self, now: datetime) -> bool:
        """Tell whether a wait goes on.

        A guess that nobody has to wait after locks until its own moment, which the clock of another process, or of one
        that asked before it was its turn, may not have reached: that is no wait.
        """
        return self.locked_until > max(self.last_at, now)


def count_guess(guesses: Guesses, patience: Patience, now: datetime) -> Guesses:
    """Return the count with one more, taken for wrong until it turns out to be right; it must not be locked."""
    before = 0 if now - guesses.last_at >= FORGOTTEN_AFTER else guesses.wrong
    lock = patience.lock_after(before + 1)
    return replace(guesses, wrong=before + 1, locked_until=now + lock, last_at=now)


def uncount_guess(guesses: Guesses, patience: Patience) -> Guesses:
    """Return the count without one that was not wrong."""
    wrong = max(0, guesses.wrong - 1)
    return replace(guesses, wrong=wrong, locked_until=guesses.last_at + patience.lock_after(wrong))
