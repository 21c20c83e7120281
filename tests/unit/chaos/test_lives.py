"""What the chaos lane believes of a transfer and its commands: it must notice each way in which they can be wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.chaos_commands import Decided, Life, Stored, live
from tests.support.load_requests import CAPTURE, REVERSAL, TRANSFER, VOID, Answer, Command, Move

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)

HOLD = Move("p", TRANSFER, "k", "alice", "bob", 100, [Answer(201, "t", "held", "")], hold_seconds=3_600)
HELD = Stored("t", "held", "", 5, None, NINE + HOUR, 0, 0)
PAID = replace(HOLD, hold_seconds=0, answers=[Answer(201, "t", "posted", "")])
POSTED = Stored("t", "posted", "", 5, 5, None, None, None)


def asked(
    scope: str, amount_minor: int | None, answer: Answer, index: int, *, code: str = "", is_final: bool = False
) -> tuple[Command, Decided]:
    """Return a command that was decided an hour's quarter after the hold, with its one answer."""
    command = Command("p", scope, f"key {index}", "t", amount_minor, is_final, [answer])
    return command, Decided(f"c{index}", "t", code, index, NINE + HOUR / 4)


def captured(amount_minor: int, moved_minor: int, index: int = 6, status: str = "held") -> tuple[Command, Decided]:
    return asked(CAPTURE, amount_minor, Answer(200, "t", status, "", "", moved_minor), index)


def life(stored: Stored, *commands: tuple[Command, Decided], move: Move = HOLD, now: datetime = NINE) -> Life:
    return live(move, stored, commands, now)


def test_captures_add_up_each_with_its_own_entries_and_the_rest_stays_held() -> None:
    lived = life(replace(HELD, captured_minor=50), captured(30, 50, 7), captured(20, 20))
    assert (lived.wrong, lived.left_minor) == ([], 50)
    assert lived.entries == {"t": [(6, "alice", -20), (6, "bob", 20), (7, "alice", -30), (7, "bob", 30)]}


def test_money_that_was_captured_twice_or_not_at_all_is_noticed() -> None:
    for captured_minor in (40, 0):
        assert life(replace(HELD, captured_minor=captured_minor), captured(20, 20)).wrong != []


def test_a_capture_of_what_was_over_and_a_refusal_without_its_cause_are_noticed() -> None:
    voided = asked(VOID, None, Answer(200, "t", "voided", "voided_by_caller"), 6)
    (told,) = life(replace(HELD, status="voided", code="voided_by_caller"), voided, captured(20, 20, 7)).wrong[:1]
    assert "transfer_not_held" in told
    refused = asked(CAPTURE, 20, Answer(422, "t", "refused", "hold_expired"), 6, code="hold_expired")
    assert life(HELD, refused).wrong != []


def test_an_answer_that_is_not_what_happened_and_one_that_never_came_are_noticed() -> None:
    stored = replace(HELD, captured_minor=20)
    assert life(stored, captured(20, 30)).wrong != []
    assert life(stored, asked(CAPTURE, 20, Answer(202, "", "accepted", "", "c6"), 6)).wrong != []
    assert life(stored, asked(CAPTURE, 20, Answer(200, "t", "held", "", "another", 20), 6)).wrong != []


def test_a_hold_that_was_never_heard_of_is_answered_with_its_end_to_everybody_alike() -> None:
    ended, late = replace(HELD, status="voided", code="hold_expired"), NINE + 2 * HOUR
    end, hold = Answer(403, "t", "voided", "hold_expired"), Answer(201, "t", "held", "")
    assert life(ended, move=replace(HOLD, answers=[end, end]), now=late).wrong == []
    assert life(ended, move=replace(HOLD, answers=[end, hold]), now=late).wrong != []
    assert life(ended, move=replace(HOLD, answers=[Answer(201, "t", "posted", "")]), now=late).wrong != []
    assert life(HELD, move=replace(HOLD, answers=[end])).wrong != []


def test_a_hold_ends_at_its_time_and_no_later() -> None:
    later = NINE + 2 * HOUR
    assert life(HELD, now=later).wrong != []
    assert life(replace(HELD, status="voided", code="hold_expired"), now=later).wrong == []
    assert life(replace(HELD, status="voided", code="hold_expired")).wrong != []
    assert life(replace(HELD, status="posted", captured_minor=20), captured(20, 20), now=later).wrong == []


def test_reversals_give_back_what_was_moved_and_no_more() -> None:
    first = asked(REVERSAL, 60, Answer(201, "c6", "posted", "", "", 60), 6)
    rest = asked(REVERSAL, None, Answer(201, "c8", "posted", "", "", 40), 8)
    stored = replace(POSTED, captured_minor=100, reversed_minor=100)
    lived = life(stored, first, rest, move=PAID)
    assert lived.wrong == []
    assert lived.entries["c8"] == [(8, "alice", 40), (8, "bob", -40)]
    assert life(replace(stored, reversed_minor=60), first, rest, move=PAID).wrong != []
    again = asked(REVERSAL, 60, Answer(201, "c8", "posted", "", "", 60), 8)
    assert life(replace(stored, reversed_minor=120), first, again, move=PAID).wrong != []


def test_what_came_before_its_transfer_was_not_found() -> None:
    early = asked(CAPTURE, 20, Answer(404, "t", "refused", "transfer_not_found", "c4"), 4, code="transfer_not_found")
    assert life(HELD, early).wrong == []
    assert life(replace(HELD, captured_minor=20), captured(20, 20, 4)).wrong != []
