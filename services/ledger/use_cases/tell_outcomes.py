"""Tell again what became of transfers, to whoever asks because he has not heard."""

from collections import Counter
from collections.abc import Sequence

from libs.common.db.hot import HotConnection
from services.ledger.metrics import QUESTIONS
from services.ledger.store.transfers import load_transfers
from services.ledger.use_cases.publish_outcomes import PublishOutcomes


class TellOutcomes:
    """Says the newest state of each transfer again, as it was said before. Nothing is written.

    Of a transfer that is in no table it says nothing. It may be decided a moment later: its verdict may be on its way,
    or the gateway sends it again until it is decided. Whoever took silence or a "no" for an end would be wrong then.

    Idempotent by: the version that hearers drop. Locks: none. Emits: TransferChanged. Raises: Unavailable.
    """

    def __init__(self, hot: HotConnection, outcomes: PublishOutcomes) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._outcomes = outcomes

    async def __call__(self, transfer_ids: Sequence[str]) -> None:
        """Answer those of these that are known."""
        asked = list(dict.fromkeys(transfer_ids))
        async with self._hot.autocommit() as connection:
            known = await load_transfers(connection, asked)
        await self._outcomes.repeat(list(known.values()))
        for status, number in Counter(transfer.status for transfer in known.values()).items():
            QUESTIONS.labels(status).inc(number)
        QUESTIONS.labels("unknown").inc(len(asked) - len(known))
