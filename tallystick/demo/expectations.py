"""What must come out, computed from the payroll and the published limits alone: no answer is looked at here."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tallystick.demo.payroll import PayrollLine

SINGLE_LIMIT_MINOR: Final = 1_000_000_00
"""What one transfer may move at most, in USD cents."""
HOURLY_LIMIT: Final = 50
"""How many transfers a customer of the profile `retail` may send within an hour."""


@dataclass(frozen=True)
class Expected:
    """Numbers of lines by what becomes of them, and what each employee has in the end, in minor units."""

    posted: int
    released: int
    answered_again: int
    blocked: Mapping[str, int]
    refused: Mapping[str, int]
    paid_minor: Mapping[str, int]

    @property
    def total_minor(self) -> int:
        """What leaves the business's account."""
        return sum(self.paid_minor.values())


@dataclass
class _Tally:
    posted: int = 0
    released: int = 0
    answered_again: int = 0
    blocked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    paid_minor: Counter[str] = field(default_factory=Counter)


def expect(lines: Sequence[PayrollLine], *, employees: Collection[str], pending: Collection[str]) -> Expected:
    """Return what the lines must lead to when `employees` have accounts and `pending` of them become verified later.

    In order of precedence, as the platform decides: an amount that is none, a key used before, the limit of a single
    transfer, an account nobody has, a payee who must wait.
    """
    tally = _Tally()
    seen: dict[str, PayrollLine] = {}
    for line in lines:
        if not line.is_sendable:
            tally.refused["invalid_request"] += 1
        elif line.idempotency_key in seen:
            _expect_again(tally, line, seen[line.idempotency_key])
        else:
            seen[line.idempotency_key] = line
            _expect_first(tally, line, employees, pending)
    return Expected(
        tally.posted, tally.released, tally.answered_again, dict(tally.blocked), dict(tally.refused),
        {label: tally.paid_minor[label] for label in employees},
    )  # fmt: skip


def _expect_again(tally: _Tally, line: PayrollLine, first: PayrollLine) -> None:
    same = (line.account, line.amount_minor, line.asset, line.note)
    if same == (first.account, first.amount_minor, first.asset, first.note):
        tally.answered_again += 1
    else:
        tally.refused["idempotency_key_reused"] += 1


def _expect_first(tally: _Tally, line: PayrollLine, employees: Collection[str], pending: Collection[str]) -> None:
    if line.amount_minor > SINGLE_LIMIT_MINOR:
        tally.blocked["amount_limit_exceeded"] += 1
    elif line.account not in employees:
        tally.refused["unknown_account"] += 1
    else:
        tally.paid_minor[line.account] += line.amount_minor
        if line.account in pending:
            tally.released += 1
        else:
            tally.posted += 1
