"""A capture or a reversal that fraud forbids is refused once, by its code, and leaves everything as it is."""

from collections.abc import Sequence

import pytest

from services.ledger.domain.commands import BlockedCommand, CaptureTransfer, Command, ReverseTransfer
from services.ledger.domain.run import Answer, CommandAnswer
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import account, capture, id_of, leg, reverse, screened, void
from tests.unit.ledger.memory_ledger import Books, house

HOLD = screened("h", leg("alice", "bob", 600), hold_seconds=3_600)
PAID = screened("t", leg("alice", "bob", 600))
PAID_AS_WELL = screened("t", leg("alice", "bob", 300))


def books(*commands: Command) -> Books:
    ledger = Books(account("alice", 1_000), account("bob"), *house("USD"))
    for command in commands:
        ledger.write(command)
    return ledger


def said(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    assert all(isinstance(each, (Transfer, CommandAnswer)) for each in answers)
    return [(each.status, each.code) for each in answers if isinstance(each, (Transfer, CommandAnswer))]


def block(command: CaptureTransfer | ReverseTransfer) -> BlockedCommand:
    return BlockedCommand(command, "transfer_not_permitted")


def test_a_blocked_capture_leaves_the_hold_which_may_be_voided_or_captured_later() -> None:
    ledger = books(HOLD)
    before = ledger.transfer("h")

    assert said(ledger.write(block(capture("h", 200)))) == [("refused", "transfer_not_permitted")]

    assert (ledger.transfer("h"), ledger.posted("bob")) == (before, 0)
    assert said(ledger.write(capture("h", 200, as_="after"))) == [("done", ""), ("held", "")]
    assert said(ledger.write(void("h"))) == [("done", ""), ("posted", "")]
    assert (ledger.posted("alice"), ledger.posted("bob")) == (800, 200)


def test_a_blocked_reversal_is_a_refused_transfer_of_its_own_and_staff_s_own_still_goes() -> None:
    ledger = books(PAID)
    before = ledger.transfer("t")

    [refused] = ledger.write(block(reverse("t", 100)))

    assert isinstance(refused, Transfer)
    assert (refused.transfer_id, refused.kind, refused.reverses) == (id_of("reversal of t"), "reversal", id_of("t"))
    assert (refused.status, refused.code, refused.legs) == ("refused", "transfer_not_permitted", ())
    assert (ledger.transfer("t"), ledger.posted("bob")) == (before, 600)
    assert said(ledger.write(reverse("t", as_="recovery"))) == [("posted", ""), ("posted", "")]
    assert (ledger.posted("alice"), ledger.posted("bob")) == (1_000, 0)


@pytest.mark.parametrize(
    ("asked", "moved_minor"), [(capture("h", 200), 200), (reverse("t", 200), -200)], ids=["capture", "reversal"]
)
def test_the_first_word_about_a_command_stands(asked: CaptureTransfer | ReverseTransfer, moved_minor: int) -> None:
    done_first, blocked_first = books(HOLD, PAID_AS_WELL), books(HOLD, PAID_AS_WELL)

    done = said(done_first.write(asked))[0]
    assert said(done_first.write(block(asked))) == [done]
    assert (done[1], done_first.posted("bob")) == ("", 300 + moved_minor)

    blocked = said(blocked_first.write(block(asked)))
    assert said(blocked_first.write(asked)) == blocked == [("refused", "transfer_not_permitted")]
    assert blocked_first.posted("bob") == 300


def test_what_fraud_forbids_is_not_told_what_else_is_wrong_with_it() -> None:
    ledger = books()
    assert said(ledger.write(block(capture("nothing")), block(reverse("nothing")))) == [
        ("refused", "transfer_not_permitted"),
        ("refused", "transfer_not_permitted"),
    ]
