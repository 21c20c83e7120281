"""A hold that its caller captures or voids, or that runs out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command, ExpireHold
from services.ledger.domain.engine import decide
from services.ledger.domain.run import Answer, CommandAnswer, Decisions
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import account, batch, capture, change, held, id_of, leg, resolved, screened, void

MORNING, LATER = "2026-03-01T09:30:00.000000Z", "2026-03-01T10:30:00.000000Z"
HOUR = 3_600


@dataclass
class Ledger:
    """Decides batch after batch, as the writer does, with nothing written."""

    accounts: dict[str, Account]
    known: dict[str, Transfer] = field(default_factory=dict)
    done: dict[str, CommandAnswer] = field(default_factory=dict)
    index: int = 0

    def decide(self, *commands: Command, now: str = MORNING) -> Decisions:
        decisions = decide(
            commands, accounts=self.accounts, known=self.known, done=self.done, first_index=self.index, now=now
        )
        self.accounts |= decisions.books.changed
        self.known |= decisions.inserted | decisions.updated
        self.done |= {answer.command_id: answer for answer in decisions.commands}
        self.index += len(decisions.changes)
        return decisions

    def numbers(self, name: str) -> tuple[int, int, int]:
        """Return (posted, pending out, pending in)."""
        each = self.accounts[id_of(name)]
        return each.posted_minor, each.pending_out_minor, each.pending_in_minor

    def state(self, name: str = "h") -> str:
        return self.known[id_of(name)].status


def ledger(*accounts: Account) -> Ledger:
    return Ledger({each.account_id: each for each in accounts or (account("alice", 1_000), account("bob"))})


def refused(answers: Sequence[Answer]) -> list[tuple[str, Mapping[str, int | str]]]:
    return [(each.code, each.facts) for each in answers if isinstance(each, CommandAnswer) and each.code]


HOLD = screened("h", leg("alice", "bob", 600), hold_seconds=HOUR)


def test_a_caller_holds_and_both_sides_see_it() -> None:
    books = ledger()
    (answer,) = books.decide(HOLD).answers
    assert isinstance(answer, Transfer)
    assert answer.settlement is not None
    assert (answer.status, answer.settlement.resolver, answer.settlement.expires_at) == ("held", "caller", LATER)
    assert books.numbers("alice") == (1_000, 600, 0)
    assert books.numbers("bob") == (0, 0, 600)


def test_what_is_held_cannot_be_spent() -> None:
    books = ledger()
    books.decide(HOLD)
    (answer,) = books.decide(screened("t", leg("alice", "bob", 401))).answers
    assert isinstance(answer, Transfer)
    assert answer.code == "insufficient_funds"


def test_a_capture_in_full_posts_the_hold() -> None:
    books = ledger()
    books.decide(HOLD)
    decisions = books.decide(capture("h"))
    assert books.state() == "posted"
    assert (books.numbers("alice"), books.numbers("bob")) == ((400, 0, 0), (600, 0, 0))
    assert [each.kind for each in decisions.changes] == ["transfer.posted"]
    assert [index for _, _, _, index, _, _ in decisions.books.entries] == [1, 1]


def test_several_captures_until_one_is_final_and_the_rest_is_given_back() -> None:
    books = ledger()
    books.decide(HOLD)
    books.decide(capture("h", 100, as_="first"))
    assert (books.state(), books.numbers("alice"), books.numbers("bob")) == ("held", (900, 500, 0), (100, 0, 500))
    books.decide(capture("h", 50, as_="last", final=True))
    assert (books.state(), books.numbers("alice"), books.numbers("bob")) == ("posted", (850, 0, 0), (150, 0, 0))
    settlement = books.known[id_of("h")].settlement
    assert settlement is not None
    assert settlement.captured_minor == (150,)


def test_a_capture_of_the_last_cent_ends_the_hold() -> None:
    books = ledger()
    books.decide(HOLD)
    books.decide(capture("h", 599, as_="first"), capture("h", 1, as_="second"))
    assert (books.state(), books.numbers("alice")) == ("posted", (400, 0, 0))


def test_a_capture_of_more_than_is_left_moves_nothing() -> None:
    books = ledger()
    books.decide(HOLD, capture("h", 500, as_="first"))
    decisions = books.decide(capture("h", 101, as_="second"))
    assert refused(decisions.answers) == [("capture_exceeds_hold", {"requested_minor": 101, "remaining_minor": 100})]
    assert [each.kind for each in decisions.changes] == ["command.refused"]
    assert not decisions.books.changed


def test_one_capture_sent_twice_moves_once_and_is_answered_twice() -> None:
    books = ledger()
    books.decide(HOLD)
    first = books.decide(capture("h", 100))
    again = books.decide(capture("h", 100))
    assert again.answers == [books.done[id_of("capture of h")]]
    assert again.answers[0] in first.answers
    assert not again.changes


def test_two_legs_are_captured_by_leg() -> None:
    books = ledger(account("alice", 1_000), account("bob"), account("carol"))
    books.decide(screened("h", leg("alice", "bob", 600), leg("alice", "carol", 300), hold_seconds=HOUR))
    assert refused(books.decide(capture("h", 10, as_="short")).answers) == [("amounts_by_leg", {"legs": 2})]
    books.decide(capture("h", 0, 300, as_="carol's"))
    assert (books.numbers("bob"), books.numbers("carol")) == ((0, 0, 600), (300, 0, 0))
    books.decide(capture("h", as_="rest"))
    assert (books.state(), books.numbers("bob"), books.numbers("alice")) == ("posted", (600, 0, 0), (100, 0, 0))


def test_a_void_gives_all_back() -> None:
    books = ledger()
    books.decide(HOLD, void("h"))
    assert (books.state(), books.known[id_of("h")].code) == ("voided", "voided_by_caller")
    assert (books.numbers("alice"), books.numbers("bob")) == ((1_000, 0, 0), (0, 0, 0))


def test_a_void_after_a_capture_keeps_what_was_captured() -> None:
    books = ledger()
    books.decide(HOLD, capture("h", 100), void("h"))
    assert (books.state(), books.numbers("alice"), books.numbers("bob")) == ("posted", (900, 0, 0), (100, 0, 0))


@pytest.mark.parametrize("end", [void("h"), ExpireHold(id_of("h"), LATER), capture("h", as_="all")])
def test_a_capture_after_the_end_of_a_hold_is_refused(end: Command) -> None:
    books = ledger()
    books.decide(HOLD)
    books.decide(end, now=LATER if isinstance(end, ExpireHold) else MORNING)
    before = books.numbers("alice")
    (code, _), *_ = refused(books.decide(capture("h", 1, as_="late")).answers)
    assert code == "transfer_not_held"
    assert books.numbers("alice") == before


def test_a_capture_when_the_time_is_up_is_refused_even_before_the_clock_has_ended_the_hold() -> None:
    books = ledger()
    books.decide(HOLD)
    assert refused(books.decide(capture("h"), now=LATER).answers) == [("hold_expired", {"expires_at": LATER})]


def test_a_hold_ends_when_its_time_is_up_and_not_before() -> None:
    books = ledger()
    books.decide(HOLD)
    assert not books.decide(ExpireHold(id_of("h"), LATER), now="2026-03-01T10:29:59.999999Z").changes
    books.decide(ExpireHold(id_of("h"), LATER), now=LATER)
    assert (books.state(), books.known[id_of("h")].code) == ("voided", "hold_expired")
    assert books.numbers("alice") == (1_000, 0, 0)


@pytest.mark.parametrize("command", [capture("h"), void("h")])
def test_nobody_releases_his_own_review(command: Command) -> None:
    books = ledger()
    books.decide(held("h", leg("alice", "bob", 600), reasons=("review",)))
    assert refused(books.decide(command).answers) == [("held_by_review", {})]
    assert books.state() == "held"


def test_a_capture_after_a_rejected_review_is_refused() -> None:
    part = leg("alice", "bob", 600)
    books = ledger()
    books.decide(held("h", part, reasons=("review",)))
    books.decide(resolved("h", part, resolution="reject", reason="review", code="review_rejected"))
    assert refused(books.decide(capture("h")).answers) == [("transfer_not_held", {"transfer_status": "voided"})]


def test_what_fraud_releases_is_handed_to_the_caller_who_asked_for_a_hold() -> None:
    part = leg("alice", "bob", 600)
    books = ledger()
    books.decide(held("h", part, reasons=("review",)))
    books.decide(resolved("h", part, reason="review", hold_seconds=HOUR))
    settlement = books.known[id_of("h")].settlement
    assert settlement is not None
    assert (books.state(), settlement.resolver, settlement.expires_at) == ("held", "caller", LATER)
    books.decide(capture("h"))
    assert (books.state(), books.numbers("bob")) == ("posted", (600, 0, 0))


def test_no_capture_debits_a_frozen_account() -> None:
    books = ledger()
    books.decide(HOLD)
    books.decide(change("alice", "frozen"))
    assert refused(books.decide(capture("h")).answers) == [("account_frozen", {})]
    assert books.state() == "held"


def test_a_payee_who_has_his_part_and_is_gone_stops_no_capture_of_the_rest() -> None:
    books = ledger(account("alice", 1_000), account("bob", owner=id_of("owner of alice")), account("carol"))
    books.decide(
        screened(
            "h", leg("alice", "bob", 600, owner=id_of("owner of alice")), leg("alice", "carol", 300), hold_seconds=HOUR
        )
    )
    books.decide(capture("h", 600, 0, as_="bob's"))
    books.decide(screened("on", leg("bob", "carol", 600)))
    books.decide(change("bob", "closed"))
    books.decide(capture("h", as_="rest"))
    assert (books.state(), books.numbers("carol")) == ("posted", (900, 0, 0))


def test_a_hold_in_an_atomic_batch_is_refused() -> None:
    books = ledger()
    decisions = books.decide(batch("b", HOLD, screened("t", leg("alice", "bob", 1))))
    assert [each.code for each in decisions.answers if isinstance(each, Transfer)] == [
        "hold_in_atomic_batch",
        "batch_refused",
    ]


def test_commands_about_what_is_not_there_are_refused() -> None:
    books = ledger()
    answers = books.decide(capture("nothing"), void("nothing")).answers
    assert refused(answers) == [("transfer_not_found", {}), ("transfer_not_found", {})]
