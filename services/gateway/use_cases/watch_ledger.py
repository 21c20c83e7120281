"""Whether the ledger posts at all: while it is halted, new requests are refused at once instead of waiting for days."""

from collections.abc import Callable
from typing import Final

from libs.common.clock import monotonic_seconds as machine_seconds
from libs.common.errors import Unavailable

_BELIEVED_SECONDS: Final = 150.0
"""The ledger says each minute that it is halted; what is older says nothing."""
_RETRY_SECONDS: Final = 60


class LedgerHalt:
    """What this process was last told. It forgets, so a release that was not heard keeps nobody out for long."""

    def __init__(self, monotonic_seconds: Callable[[], float] = machine_seconds) -> None:
        """Begin with a ledger that runs."""
        self._monotonic_seconds = monotonic_seconds
        self._told_at: float | None = None
        self._newest = ""

    @property
    def is_halted(self) -> bool:
        """Whether the ledger said so lately."""
        return self._told_at is not None and self._monotonic_seconds() - self._told_at < _BELIEVED_SECONDS

    def note(self, *, open_findings: int, said_at: str) -> None:
        """Take what the ledger said, and when (RFC 3339 UTC): how many findings halt it.

        What a command left to be told is told late, behind the release that followed it: the newer word stands.
        """
        if said_at < self._newest:
            return
        self._newest = said_at
        self._told_at = self._monotonic_seconds() if open_findings else None

    def refusal(self) -> Unavailable:
        """Return what a new request is answered with."""
        return Unavailable(
            "ledger_halted",
            "The ledger has stopped posting until a finding is cleared; nothing of yours was taken in.",
            retry_after_seconds=_RETRY_SECONDS,
        )
