"""Whoever asks what became of transfers is told what was said before, and nothing is written for it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.common.contracts.fraud import OutcomeAsked
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.records import Received
from services.ledger.consumers.on_outcome_asked import OnOutcomeAsked
from services.ledger.metrics import QUESTIONS
from services.ledger.use_cases.tell_outcomes import TellOutcomes
from tests.integration.ledger.books import Books, check, count_of, until_confirmed
from tests.support.ledger_builders import NOW, blocked, capture, held, id_of, leg, resolved, reverse, screened, void

PART = leg("alice", "bob", 50)


@pytest.fixture
async def tell(books: Books, ledger_dsn: str) -> AsyncIterator[TellOutcomes]:
    hot = HotConnection(ledger_dsn, "test-telling")
    yield TellOutcomes(hot, books.outcomes)
    await hot.close()


async def test_every_state_is_told_again_as_it_was_told_first(books: Books, tell: TellOutcomes, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    names = [
        "posted",
        "refused",
        "blocked",
        "held",
        "released",
        "voided",
        "captured",
        "reversed",
        "reversal of reversed",
    ]
    await books.do(
        screened("posted", PART),
        screened("refused", leg("alice", "bob", 99_999)),
        blocked("blocked", PART),
        held("held", PART),
        held("released", PART),
        resolved("released", PART),
        screened("voided", PART, hold_seconds=600),
        screened("captured", PART, hold_seconds=600),
        screened("reversed", PART),
    )
    await books.do(void("voided"), capture("captured", 20, final=True), reverse("reversed"))
    newest = {name: books.told(name)[-1] for name in names}
    size = books.outcomes.confirmed_size

    for _ in range(2):
        books.publisher.sent.clear()
        await tell([id_of(name) for name in names])
        assert {name: books.told(name) for name in names} == {name: [newest[name]] for name in names}

    assert newest["reversal of reversed"].gave_back_minor == (50,)
    assert {one.status for one in newest.values()} == {"posted", "refused", "blocked", "held", "voided"}
    await until_confirmed(size, books)
    await check(admin_dsn)


async def test_of_what_it_does_not_know_it_says_nothing_and_the_transfer_posts_when_it_comes(
    books: Books, tell: TellOutcomes
) -> None:
    await books.fund(alice=1_000, bob=1)
    unknown, answered = count_of(QUESTIONS, "unknown"), count_of(QUESTIONS, "posted")
    await tell([id_of("late"), id_of("late"), new_id()])
    assert books.told("late") == []
    assert (unknown(), answered()) == (2, 0)
    await books.do(screened("late", PART))
    await tell([id_of("late")])
    assert [one.status for one in books.told("late")] == ["posted", "posted"]
    assert (unknown(), answered()) == (2, 1)


async def test_a_batch_of_questions_is_answered_at_once(books: Books, tell: TellOutcomes) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART), screened("u", PART))
    books.publisher.sent.clear()
    questions = [OutcomeAsked(transfer_id=id_of(name), asked_at=NOW) for name in ("t", "u", "t", "nobody")]
    record: Any = None
    await OnOutcomeAsked(tell)([Received(question, record) for question in questions])
    assert sorted(one.key for one in books.publisher.sent) == sorted([id_of("t"), id_of("u")])
