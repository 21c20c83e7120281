"""Which refusal of an account's change is named when several would do: the earlier one of the list wins."""

from collections.abc import Mapping
from typing import Final

import pytest

from libs.common.contracts.gateway import ChangeAccount
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import Account
from services.ledger.domain.engine import decide
from services.ledger.domain.run import AccountAnswer, CommandAnswer
from tests.support.ledger_builders import NOW, account, change, id_of


def refusal_of(command: ChangeAccount, *accounts: Account) -> tuple[str, Mapping[str, int | str]]:
    """Return the code and the numbers; both are empty when it is done."""
    books = {each.account_id: each for each in accounts}
    decisions = decide([command], accounts=books, known={}, first_index=0, now=NOW)
    (decided, *_) = decisions.answers
    assert isinstance(decided, CommandAnswer)
    assert bool(decided.code) == (decisions.books.changed == {}), "refused and changed, or done and not changed"
    return decided.code, decided.facts


HOUSE: Final = account("a", 100, owner="")
FULL: Final = account("a", 100)
PAYER: Final = account("a", 100, pending_out_minor=40)
PAYEE: Final = account("a", 100, pending_in_minor=40)


def test_an_account_that_is_not_there_is_not_found() -> None:
    assert refusal_of(change("a", "closed", minimum_minor=2, maximum_minor=1)) == ("account_not_found", {})


@pytest.mark.parametrize(
    ("command", "state", "code", "facts"),
    [
        pytest.param(change("a", "closed"), HOUSE, "system_account", {}, id="system_account before account_not_empty"),
        pytest.param(
            change("a", "closed", only_while="active"),
            account("a", owner="", status="frozen"),
            "system_account",
            {},
            id="system_account before account_frozen",
        ),
        *(
            pytest.param(
                change("a", "closed", only_while="active"),
                account("a", 100, status=status),
                f"account_{status}",
                {},
                id=f"account_{status} before account_not_empty",
            )
            for status in ("frozen", "suspended", "closed")
        ),
        pytest.param(
            change("a", "closed", minimum_minor=2, maximum_minor=1, only_while="active"),
            FULL,
            "account_not_empty",
            {"posted_minor": 100},
            id="account_not_empty before minimum_above_maximum",
        ),
        pytest.param(
            change("a", minimum_minor=300, maximum_minor=200),
            FULL,
            "minimum_above_maximum",
            {},
            id="minimum_above_maximum before minimum_above_balance",
        ),
        pytest.param(
            change("a", minimum_minor=61, maximum_minor=99),
            PAYER,
            "minimum_above_balance",
            {"posted_minor": 100},
            id="minimum_above_balance before maximum_below_balance",
        ),
        pytest.param(
            change("a", minimum_minor=100, maximum_minor=139),
            PAYEE,
            "maximum_below_balance",
            {"posted_minor": 100},
            id="maximum_below_balance at last",
        ),
    ],
)
def test_the_earlier_refusal_wins(
    command: ChangeAccount, state: Account, code: str, facts: Mapping[str, int | str]
) -> None:
    assert refusal_of(command, state) == (code, facts)


@pytest.mark.parametrize("state", [FULL, account("a", pending_in_minor=1), account("a", 0, minimum_minor=-1)])
def test_only_what_is_empty_is_closed(state: Account) -> None:
    assert (refusal_of(change("a", "closed"), state)[0] == "") == state.is_empty


def test_limits_may_be_exactly_what_is_there() -> None:
    assert refusal_of(change("a", minimum_minor=60), PAYER) == ("", {})
    assert refusal_of(change("a", maximum_minor=140), PAYEE) == ("", {})
    assert refusal_of(change("a", minimum_minor=100, maximum_minor=100), FULL) == ("", {})


def test_a_limit_that_is_not_named_stays_and_counts() -> None:
    limited = account("a", 100, minimum_minor=50, maximum_minor=150)
    assert refusal_of(change("a", maximum_minor=49), limited)[0] == "minimum_above_maximum"
    assert refusal_of(change("a", minimum_minor=151), limited)[0] == "minimum_above_maximum"
    decisions = decide([change("a", "frozen")], accounts={id_of("a"): limited}, known={}, first_index=7, now=NOW)
    assert decisions.answers[-1] == AccountAnswer(id_of("a"), "frozen", 50, 150, 7, NOW)


def test_a_command_that_was_decided_is_answered_again_before_anything_is_looked_at() -> None:
    first = decide([change("a", "closed")], accounts={id_of("a"): FULL}, known={}, first_index=0, now=NOW)
    (refused,) = first.commands
    empty = account("a", maximum_minor=MAX_AMOUNT_MINOR)
    again = decide(
        [change("a", "closed")],
        accounts={id_of("a"): empty},
        known={},
        first_index=1,
        now=NOW,
        done={refused.command_id: refused},
    )
    assert (again.answers, again.changes) == ([refused], [])
