"""How many tries of the unit of work it took to decide a state of a transfer."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from services.ledger.domain.run import Answer, Change, Decisions
from services.ledger.domain.transfer import Transfer

ATTEMPTS_MAX: Final = 32_767
"""What the column holds: it says so of this many and of more."""
REMEMBERED_MAX: Final = 10_000
"""Most undecided transfers whose tries are remembered; of those beyond, the oldest begin again at 1."""


class CountAttempts:
    """Counts tries: one more each time that this process has decided a state and goes to write it.

    A state that is written at the first try has 1. A try adds when its batch was not written (a conflict with another
    writer, a serialisation failure, a lost connection, a batch that held a transfer decided before), whether the unit
    of work repeats itself or delivery brings the batch again. It adds nothing when it ended before there was a decision
    (the database could not be read), nor when it turns out to have been written, its answer alone being lost. Another
    process, after a restart or a rebalance, knows of no tries but its own and begins at 1.
    """

    def __init__(self) -> None:
        """Begin with no try that failed."""
        self._failed: dict[str, int] = {}

    @property
    def have_failed(self) -> bool:
        """Whether there are tries that failed: then what is decided has to be numbered before it is written."""
        return bool(self._failed)

    @contextmanager
    def trying(self, decisions: Decisions) -> Iterator[None]:
        """Number the try that writes these decisions; unless it succeeds, the next is numbered one higher."""
        if self._failed:
            for transfer in _transfers(decisions.changes):
                transfer.attempts = min(self._failed.get(transfer.transfer_id, 0) + 1, ATTEMPTS_MAX)
        is_written = False
        try:
            yield
            is_written = True
        finally:
            if not is_written:
                self._remember(decisions.changes)
        self.forget(decisions.answers)

    def forget(self, answers: Iterable[Answer]) -> None:
        """Remember no tries of what is decided now."""
        if self._failed:
            for answer in answers:
                if isinstance(answer, Transfer):
                    self._failed.pop(answer.transfer_id, None)

    def _remember(self, changes: Iterable[Change]) -> None:
        for transfer in _transfers(changes):
            self._failed[transfer.transfer_id] = transfer.attempts
        for transfer_id in list(self._failed)[:-REMEMBERED_MAX]:
            del self._failed[transfer_id]


def _transfers(changes: Iterable[Change]) -> Iterator[Transfer]:
    return (change.state for change in changes if isinstance(change.state, Transfer))
