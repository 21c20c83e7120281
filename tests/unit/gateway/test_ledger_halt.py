"""While the ledger is halted the gateway takes nothing in; it believes so only while it is told again."""

import msgspec

from libs.common.contracts.ledger import LedgerIntegrityBroken, LedgerReleased
from libs.common.contracts.topics import HALTS
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.records import Glimpse
from services.gateway.consumers.on_ledger_integrity_broken import FollowHalts
from services.gateway.use_cases.watch_ledger import LedgerHalt

NOW = "2026-03-01T09:30:00.000000Z"
BROKEN = LedgerIntegrityBroken(shard=0, finding_id="f", kind="tail_cut", table="heads", row="0", occurred_at=NOW)


def released(open_findings: int) -> LedgerReleased:
    return LedgerReleased(shard=0, finding_id="f", open_findings=open_findings, journal_index=1, occurred_at=NOW)


def is_halted(halt: LedgerHalt) -> bool:
    return halt.is_halted


def glimpse(message: LedgerIntegrityBroken | LedgerReleased) -> Glimpse:
    return Glimpse("0", outgoing(HALTS, "0", message).payload)


def test_the_gateway_hears_that_the_ledger_halted_and_that_it_goes_on() -> None:
    halt = LedgerHalt(lambda: 0.0)
    follow = FollowHalts(halt)
    assert not is_halted(halt)
    follow([glimpse(BROKEN), glimpse(BROKEN), glimpse(released(1))])
    assert is_halted(halt)
    assert halt.refusal().code == "ledger_halted"
    follow([Glimpse("0", b"no JSON"), glimpse(released(0))])
    assert not is_halted(halt)


def test_a_finding_told_behind_the_release_that_followed_it_halts_nobody() -> None:
    halt = LedgerHalt(lambda: 0.0)
    follow = FollowHalts(halt)
    later = msgspec.structs.replace(released(0), occurred_at="2026-03-01T09:30:00.000001Z")
    follow([glimpse(BROKEN), glimpse(later), glimpse(BROKEN)])
    assert not is_halted(halt)
    follow([glimpse(msgspec.structs.replace(BROKEN, occurred_at="2026-03-01T09:31:00.000000Z"))])
    assert is_halted(halt)


def test_what_is_not_told_again_is_not_believed_for_long() -> None:
    now = [0.0]
    halt = LedgerHalt(lambda: now[0])
    halt.note(open_findings=1, said_at=NOW)
    now[0] = 149.0
    assert is_halted(halt)
    now[0] = 151.0
    assert not is_halted(halt)
