"""The ledger has found damage and posts nothing: every process that takes requests must know at once."""

from collections.abc import Sequence

from libs.common.messaging.batched_record import UNREADABLE
from libs.common.messaging.records import Glimpse
from services.gateway.consumers.on_ledger_released import open_findings_after
from services.gateway.use_cases.watch_ledger import LedgerHalt


class FollowHalts:
    """Reads the topic's tip. The next minute's message mends what was missed or could not be read."""

    def __init__(self, halt: LedgerHalt) -> None:
        """Tell this."""
        self._halt = halt

    def __call__(self, glimpses: Sequence[Glimpse]) -> None:
        """Take both kinds of message."""
        for _, payload in glimpses:
            try:
                open_findings, said_at = open_findings_after(payload)
            except UNREADABLE:
                continue
            self._halt.note(open_findings=open_findings, said_at=said_at)
