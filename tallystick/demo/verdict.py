"""Is every number right? Each figure as it was found beside what it had to be."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tallystick.demo.customers import BUSINESS, EMPLOYEES, PENDING, RETAIL
from tallystick.demo.expectations import HOURLY_LIMIT
from tallystick.demo.pay import Paid
from tallystick.demo.singles import GIFT_MINOR, RETAIL_MINOR
from tallystick.demo.story import RETAIL_DEPOSIT_MINOR, SPARE_MINOR, Told

_SINGLES_DECIDED = HOURLY_LIMIT + 3


@dataclass(frozen=True, slots=True)
class Figure:
    """A number or a set of them, expected and found."""

    name: str
    expected: Any
    found: Any

    @property
    def is_right(self) -> bool:
        """Whether both are the same."""
        return bool(self.expected == self.found)


def judge(told: Told) -> list[Figure]:
    """Return all figures, in the order of the story."""
    return [*_payroll(told), *_singles(told), *_balances(told), *_proof(told)]


def count_codes(paid: list[Paid], status: str) -> dict[str, int]:
    """Return code → number of payroll lines that ended so."""
    return dict(Counter(one.code for one in paid if one.status == status))


def sum_minor(paid: Iterable[Paid]) -> int:
    """Return what these lines come to."""
    return sum(one.line.amount_minor for one in paid)


def repeated(paid: list[Paid]) -> list[tuple[Paid, Paid]]:
    """Return pairs of lines under one key, the first one first."""
    first: dict[str, Paid] = {}
    pairs = []
    for one in paid:
        if one.line.idempotency_key in first:
            pairs.append((first[one.line.idempotency_key], one))
        first.setdefault(one.line.idempotency_key, one)
    return pairs


def _payroll(told: Told) -> Iterator[Figure]:
    expected, paid, again = told.expected, told.payroll.paid, repeated(told.payroll.paid)
    statuses = Counter(one.status for one in paid)
    unsendable = sum(not one.line.is_sendable for one in paid)
    yield Figure("payroll lines answered", told.lines, len(paid))
    yield Figure("posted", expected.posted, statuses["posted"] - len(again))
    yield Figure("held", expected.released, statuses["held"])
    yield Figure("held, then released", expected.released, told.arrival.statuses.count("posted"))
    yield Figure("blocked, by reason", expected.blocked, count_codes(paid, "blocked"))
    yield Figure("refused, by reason", expected.refused, count_codes(paid, "refused"))
    yield Figure("answered again", expected.answered_again, len(again))
    yield Figure("answered again as the first time", len(again), sum(_is_same(*pair) for pair in again))
    yield Figure("batches refused whole for one bad line", unsendable, told.payroll.batches_refused_whole)


def _is_same(first: Paid, second: Paid) -> bool:
    return (first.transfer_id, first.status, first.problem) == (second.transfer_id, second.status, second.problem)


def _singles(told: Told) -> Iterator[Figure]:
    singles = told.singles
    over, little = singles.over_limit.said, singles.too_much.said
    yield Figure("transfers within the hourly limit", ["posted"] * HOURLY_LIMIT, [one.status for one in singles.retail])
    yield Figure(
        "the next one", ("blocked", "hourly_count_limit_exceeded"), (singles.over_limit.status, over.get("code"))
    )
    yield Figure(
        "its limit and what was used", (HOURLY_LIMIT, HOURLY_LIMIT), (over.get("limit_count"), over.get("used_count"))
    )
    yield Figure("facts it does not tell", [], sorted({"resets_at"} - over.keys()))
    yield Figure("a gift between employees", "posted", singles.gift.status)
    yield Figure("more than one has", ("refused", "insufficient_funds"), (singles.too_much.status, little.get("code")))


def _balances(told: Told) -> Iterator[Figure]:
    expected = dict(told.expected.paid_minor)
    spent_minor = HOURLY_LIMIT * RETAIL_MINOR
    expected["employee-01"] += spent_minor
    expected["employee-02"] -= GIFT_MINOR
    expected["employee-03"] += GIFT_MINOR
    expected[RETAIL] = RETAIL_DEPOSIT_MINOR - spent_minor
    expected[BUSINESS] = SPARE_MINOR
    found = told.balances_minor
    right = sum(expected[label] == found.get(label) for label in expected)
    arrived_minor = told.arrival.after_minor - told.arrival.before_minor
    yield Figure("balances as the payroll says", len(EMPLOYEES) + 2, right)
    yield Figure("held salaries arrived, minor units", told.expected.paid_minor[PENDING], arrived_minor)


def _proof(told: Told) -> Iterator[Figure]:
    expected = told.expected
    no = sum(expected.blocked.values()) + sum(expected.refused.values()) - expected.refused.get("invalid_request", 0)
    transfers = expected.posted + expected.released + no + _SINGLES_DECIDED + told.deposits
    first, again = told.singles.first, told.replayed
    yield Figure("receipts verified offline", transfers, len(told.receipts.proven))
    yield Figure("receipts that prove something else", [], told.receipts.faults)
    yield Figure("a replayed key, byte for byte", first.text, again.text)
    yield Figure("books: assets that do not sum to zero", {}, {a: s for a, s in told.books.sums_minor.items() if s})
    yield Figure("journal recomputed, services compared", [], told.books.differences)
