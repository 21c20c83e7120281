"""What the tip of the topic tells those who wait for a transfer."""

import asyncio

import msgspec

from libs.common.contracts.ledger import TransferChanged
from libs.common.messaging.records import Glimpse
from services.gateway.consumers.on_transfer_changed import WakeWaiters
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.await_outcomes import Waiters

HELD = TransferChanged(
    transfer_id="t",
    status="held",
    version=1,
    code="",
    reasons=(),
    facts={},
    shard=0,
    journal_index=7,
    occurred_at="2026-03-01T09:30:00.000000Z",
    resolver="caller",
    expires_at="2026-03-01T09:30:01.000000Z",
)
ENDED = msgspec.structs.replace(HELD, status="voided", version=2, code="hold_expired", journal_index=8)


async def test_who_missed_the_first_state_is_not_told_a_later_one() -> None:
    waiters, waiting = Waiters(), asyncio.get_running_loop().create_future()
    waiters.expect("t", waiting)
    wake = WakeWaiters(waiters)
    wake([_glimpse(ENDED)])
    assert not waiting.done(), "what is frozen under his key may be the hold"
    wake([_glimpse(HELD), _glimpse(ENDED)])
    told: Outcome = await waiting
    assert (told.status, told.version) == ("held", 1)


def _glimpse(change: TransferChanged) -> Glimpse:
    return Glimpse(change.transfer_id, msgspec.json.encode(change))
