"""What a payroll must lead to, told from its lines alone."""

from tallystick.demo.expectations import SINGLE_LIMIT_MINOR, Expected, expect
from tallystick.demo.payroll import PayrollLine


def line(account: str = "ann", amount_minor: int = 100, key: str = "", note: str = "pay") -> PayrollLine:
    return PayrollLine(2, account, amount_minor, "USD", key or f"{account}-{amount_minor}", note)


def expected(*lines: PayrollLine) -> Expected:
    return expect(lines, employees=("ann", "bob", "pat"), pending={"pat"})


def test_each_kind_of_line_is_counted_where_it_belongs() -> None:
    assert expected(
        line("ann", 100), line("bob", 250), line("pat", 30), line("zoe", 5), line("ann", -1), line("ann", 10**9)
    ) == Expected(
        posted=2,
        released=1,
        answered_again=0,
        blocked={"amount_limit_exceeded": 1},
        refused={"unknown_account": 1, "invalid_request": 1},
        paid_minor={"ann": 100, "bob": 250, "pat": 30},
    )


def test_the_limit_itself_passes_and_a_cent_more_does_not() -> None:
    assert expected(line(amount_minor=SINGLE_LIMIT_MINOR)).posted == 1
    assert expected(line(amount_minor=SINGLE_LIMIT_MINOR + 1)).blocked == {"amount_limit_exceeded": 1}


def test_a_line_repeated_word_for_word_is_answered_again_and_paid_once() -> None:
    both = expected(line(key="k"), line(key="k"))
    assert (both.posted, both.answered_again, both.total_minor) == (1, 1, 100)


def test_a_key_used_for_something_else_is_refused() -> None:
    both = expected(line(key="k"), line(key="k", note="bonus"))
    assert (both.posted, both.refused) == (1, {"idempotency_key_reused": 1})


def test_too_large_an_amount_to_nobody_is_blocked_before_anybody_looks_for_him() -> None:
    assert expected(line("zoe", 10**9)).blocked == {"amount_limit_exceeded": 1}
