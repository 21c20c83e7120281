import pytest

from libs.common.contracts.fraud import CaptureScreened, ReversalScreened
from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer
from libs.common.contracts.transfers import HOLD_SECONDS_MAX
from libs.common.errors import Unprocessable
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.consumers.on_capture_screened import on_capture_screened
from services.ledger.consumers.on_hold_resolved import on_hold_resolved
from services.ledger.consumers.on_reversal_screened import on_reversal_screened
from services.ledger.consumers.on_transfer_batch_screened import on_transfer_batch_screened
from services.ledger.consumers.on_transfer_screened import on_transfer_screened
from services.ledger.domain.commands import BlockedCommand, Leg, transfers_in
from tests.support.ledger_builders import NOW, batch, capture, leg, resolved, reverse, screened

SOUND = leg("alice", "bob", 1)


def screened_capture(command: CaptureTransfer, code: str = "") -> CaptureScreened:
    return CaptureScreened(code=code, screened_at=NOW, command=command)


def screened_reversal(command: ReverseTransfer, code: str = "") -> ReversalScreened:
    return ReversalScreened(code=code, screened_at=NOW, command=command)


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (leg("alice", "bob", 0), "amount_out_of_bounds"),
        (leg("alice", "bob", -1), "amount_out_of_bounds"),
        (leg("alice", "bob", MAX_AMOUNT_MINOR + 1), "amount_out_of_bounds"),
        (leg("alice", "bob", 1, asset="XXX"), "asset_unknown"),
    ],
)
def test_a_leg_that_no_record_may_hold_parks_its_message(part: Leg, code: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        on_transfer_screened(screened("t", SOUND, part))
    assert refused.value.code == code


def test_a_transfer_has_a_bounded_number_of_legs() -> None:
    for legs in ((), (SOUND,) * 101):
        with pytest.raises(Unprocessable, match="legs_out_of_bounds"):
            on_transfer_screened(screened("t", *legs))
    on_transfer_screened(screened("t", *(SOUND,) * 100))


def test_a_verdict_says_enough() -> None:
    with pytest.raises(Unprocessable, match="hold_without_reason"):
        on_transfer_screened(screened("t", SOUND, verdict="hold"))
    with pytest.raises(Unprocessable, match="block_without_code"):
        on_transfer_screened(screened("t", SOUND, verdict="block"))
    with pytest.raises(Unprocessable, match="rejection_without_code"):
        on_hold_resolved(resolved("t", SOUND, resolution="reject"))


def test_a_batch_is_bounded_and_sound_in_every_member() -> None:
    with pytest.raises(Unprocessable, match="batch_out_of_bounds"):
        on_transfer_batch_screened(batch("none"))
    with pytest.raises(Unprocessable, match="batch_out_of_bounds"):
        on_transfer_batch_screened(batch("many", *[screened("t", SOUND)] * 1_001))
    with pytest.raises(Unprocessable, match="amount_out_of_bounds"):
        on_transfer_batch_screened(batch("b", screened("t", SOUND), screened("u", leg("alice", "bob", 0))))


def test_a_hold_lasts_no_longer_than_a_month() -> None:
    on_transfer_screened(screened("t", SOUND, hold_seconds=HOLD_SECONDS_MAX))
    for seconds in (-1, HOLD_SECONDS_MAX + 1):
        with pytest.raises(Unprocessable, match="hold_too_long"):
            on_transfer_screened(screened("t", SOUND, hold_seconds=seconds))


@pytest.mark.parametrize("amounts_minor", [(-1,), (MAX_AMOUNT_MINOR + 1,), (1,) * 101])
def test_amounts_nobody_may_send_park_a_capture_or_reversal(amounts_minor: tuple[int, ...]) -> None:
    with pytest.raises(Unprocessable, match="amount_out_of_bounds"):
        on_capture_screened(screened_capture(capture("t", *amounts_minor)))
    with pytest.raises(Unprocessable, match="amount_out_of_bounds"):
        on_reversal_screened(screened_reversal(reverse("t", *amounts_minor)))


def test_fraud_s_word_tells_a_command_that_goes_on_from_one_that_is_blocked() -> None:
    captured, reversed_ = capture("t"), reverse("t")
    assert on_capture_screened(screened_capture(captured)) is captured
    assert on_reversal_screened(screened_reversal(reversed_)) is reversed_
    blocked = (
        on_capture_screened(screened_capture(captured, "transfer_not_permitted")),
        on_reversal_screened(screened_reversal(reversed_, "transfer_not_permitted")),
    )
    assert blocked == (
        BlockedCommand(captured, "transfer_not_permitted"),
        BlockedCommand(reversed_, "transfer_not_permitted"),
    )
    assert [transfers_in(one) for one in blocked] == [1, 1]


def test_a_command_concerns_its_transfer_and_a_batch_all_of_its() -> None:
    assert transfers_in(screened("t", SOUND)) == 1
    assert transfers_in(batch("b", screened("t", SOUND), screened("u", SOUND))) == 2
