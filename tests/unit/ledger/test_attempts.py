"""How many tries it took to decide a transfer."""

import pytest

from libs.common.errors import Unavailable
from services.ledger.domain.account import Account
from services.ledger.domain.attempts import ATTEMPTS_MAX, CountAttempts
from services.ledger.domain.engine import decide
from services.ledger.domain.run import Decisions
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import NOW, account, id_of, leg, screened

AWAY = Unavailable("database_unavailable", "The database is away.")


def decided(*names: str, known: tuple[Transfer, ...] = ()) -> Decisions:
    accounts: dict[str, Account] = {id_of(name): account(name, 1_000) for name in ("alice", "bob")}
    return decide(
        [screened(name, leg("alice", "bob", 1)) for name in names],
        accounts=accounts,
        known={transfer.transfer_id: transfer for transfer in known},
        first_index=0,
        now=NOW,
    )


def fail(attempts: CountAttempts, decisions: Decisions) -> None:
    with pytest.raises(Unavailable), attempts.trying(decisions):
        raise AWAY


def succeed(attempts: CountAttempts, decisions: Decisions) -> list[int]:
    with attempts.trying(decisions):
        return [answer.attempts for answer in decisions.answers if isinstance(answer, Transfer)]


def test_what_is_written_at_once_took_one_try() -> None:
    assert succeed(CountAttempts(), decided("t", "u")) == [1, 1]


def test_each_try_that_was_not_written_counts_for_those_it_decided() -> None:
    attempts = CountAttempts()
    fail(attempts, decided("t"))
    fail(attempts, decided("t", "u"))
    assert succeed(attempts, decided("t", "u", "v")) == [3, 2, 1]


def test_what_was_written_begins_at_one_again() -> None:
    attempts = CountAttempts()
    fail(attempts, decided("t", "u"))
    assert succeed(attempts, decided("t")) == [2]
    assert succeed(attempts, decided("t", "u")) == [1, 2]


def test_what_turns_out_to_be_written_is_forgotten_and_keeps_its_number() -> None:
    attempts, first = CountAttempts(), decided("t")
    fail(attempts, first)
    (written,) = first.inserted.values()
    again = decided("t", known=(written,))
    attempts.forget(again.answers)
    assert written.attempts == 1
    assert succeed(attempts, decided("t")) == [1]


def test_the_number_stays_within_its_column() -> None:
    attempts = CountAttempts()
    for _ in range(3):
        decisions = decided("t")
        for transfer in decisions.inserted.values():
            transfer.attempts = ATTEMPTS_MAX
        fail(attempts, decisions)
    assert succeed(attempts, decided("t")) == [ATTEMPTS_MAX]


def test_no_more_is_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ledger.domain.attempts.REMEMBERED_MAX", 2)
    attempts = CountAttempts()
    fail(attempts, decided("t", "u", "v"))
    assert succeed(attempts, decided("t", "u", "v")) == [1, 2, 2]
