"""Every number counts: one that is off by one is named, and the demo is not right."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from services.ledger.audit.findings import Finding, Verification
from services.ledger.domain.reconciliation import Outcome, Reconciliation
from tallystick.demo.api import Answer
from tallystick.demo.books import Books
from tallystick.demo.customers import BUSINESS, EMPLOYEES, PENDING, RETAIL, Customer
from tallystick.demo.expectations import HOURLY_LIMIT, expect
from tallystick.demo.pay import Paid, PayrollRun
from tallystick.demo.payroll import PayrollLine
from tallystick.demo.receipts import Proven, Receipts
from tallystick.demo.report import as_json, show
from tallystick.demo.singles import GIFT_MINOR, RETAIL_MINOR, Order, Single, Singles
from tallystick.demo.story import RETAIL_DEPOSIT_MINOR, SPARE_MINOR, Arrival, Told
from tallystick.demo.verdict import judge

WHEN = datetime(2026, 3, 1, tzinfo=UTC)
ORDER = Order(Customer("a", "u", "t", "from"), Customer("b", "v", "t", "to"), 1, "key")
NO = {"code": "insufficient_funds", "transfer_id": "t"}
OVER = {
    "code": "hourly_count_limit_exceeded",
    "transfer_id": "t",
    "limit_count": HOURLY_LIMIT,
    "used_count": HOURLY_LIMIT,
    "resets_at": "2026-03-01T10:00:00.000000Z",
}

BROKEN = Finding("record_altered", "journal", "0/1", "x", "y")


def line(number: int, account: str, amount_minor: int = 500, key: str = "") -> PayrollLine:
    return PayrollLine(number, account, amount_minor, "USD", key or str(number), "pay")


def paid(of: PayrollLine, status: str, code: str = "", transfer_id: str | None = None) -> Paid:
    return Paid(of, status, transfer_id or f"transfer-{of.number}", "account", {"code": code} if code else {})


PAID = [
    paid(line(2, "employee-01"), "posted"),
    paid(line(3, PENDING), "held"),
    paid(line(4, "nobody"), "refused", "unknown_account"),
    paid(line(5, "employee-02", 10**9), "blocked", "amount_limit_exceeded"),
    paid(line(6, "employee-01", key="2"), "posted", transfer_id="transfer-2"),
]
RECONCILED = Reconciliation(
    "all", "", "", "", 15.0, 0, outcomes=[Outcome("trial_balance", "the balances of each asset sum up to zero")]
)
TRANSFERS = 4 + HOURLY_LIMIT + 3 + 2


def everything_right() -> Told:
    """A payroll of five lines, told as it must be."""
    balances = dict.fromkeys(EMPLOYEES, 0) | {
        "employee-01": 500 + HOURLY_LIMIT * RETAIL_MINOR,
        "employee-02": -GIFT_MINOR,
        "employee-03": GIFT_MINOR,
        PENDING: 500,
        RETAIL: RETAIL_DEPOSIT_MINOR - HOURLY_LIMIT * RETAIL_MINOR,
        BUSINESS: SPARE_MINOR,
    }
    answer = Answer("POST /transfers", 201, b"{}")
    return Told(
        lines=len(PAID),
        expected=expect([one.line for one in PAID], employees=EMPLOYEES, pending={PENDING}),
        payroll=PayrollRun(PAID, batches=1, batches_refused_whole=0, seconds=1.0),
        singles=Singles(
            first=answer,
            retail=[Single(ORDER, "posted", {})] * HOURLY_LIMIT,
            over_limit=Single(ORDER, "blocked", OVER),
            gift=Single(ORDER, "posted", {}),
            too_much=Single(ORDER, "refused", NO),
        ),
        arrival=Arrival(["posted"], before_minor=0, after_minor=500, seconds=0.1),
        replayed=answer,
        balances_minor=balances,
        deposits=2,
        receipts=Receipts([Proven("transfer-2", WHEN, WHEN)] * TRANSFERS, []),
        books=Books({"USD": 0}, Verification(), RECONCILED),
    )


def wrong_in(told: Told) -> list[str]:
    return [figure.name for figure in judge(told) if not figure.is_right]


def test_a_story_that_went_as_the_file_says_has_no_wrong_figure() -> None:
    assert wrong_in(everything_right()) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda told: replace(told, balances_minor=told.balances_minor | {"employee-07": 1}), "balances as the"),
        (lambda told: replace(told, receipts=Receipts(told.receipts.proven[1:], [])), "receipts verified offline"),
        (lambda told: replace(told, replayed=Answer("POST /transfers", 201, b"{ }")), "a replayed key, byte for byte"),
        (lambda told: replace(told, books=replace(told.books, sums_minor={"USD": 1})), "books: assets that do not"),
        (
            lambda told: replace(told, books=replace(told.books, verification=Verification(findings=[BROKEN]))),
            "journal recomputed",
        ),
        (lambda told: replace(told, arrival=replace(told.arrival, statuses=["voided"])), "held, then released"),
        (lambda told: replace(told, payroll=replace(told.payroll, paid=PAID[1:])), "payroll lines answered"),
        (
            lambda told: replace(told, payroll=replace(told.payroll, paid=[*PAID[:4], paid(PAID[4].line, "posted")])),
            "answered again as the first time",
        ),
        (
            lambda told: replace(told, singles=replace(told.singles, over_limit=Single(ORDER, "posted", {}))),
            "the next one",
        ),
    ],
)
def test_whatever_is_wrong_is_named(change: Callable[[Told], Told], name: str) -> None:
    wrong = wrong_in(change(everything_right()))
    assert any(figure.startswith(name) for figure in wrong), wrong


def test_the_report_says_which_figure_is_wrong_and_by_how_much() -> None:
    told = everything_right()
    told = replace(told, receipts=Receipts(told.receipts.proven[1:], []))
    console = Console(record=True, width=200, quiet=False, file=None, force_terminal=False)
    with console.capture() as capture:
        show(console, told, judge(told), seconds=1.0)
    assert f"WRONG: receipts verified offline: expected {TRANSFERS}, found {TRANSFERS - 1}" in capture.get()


def test_the_document_is_json_and_counts_each_line_once() -> None:
    told = everything_right()
    document = json.loads(json.dumps(as_json(told, judge(told), rate_limits="off", seconds=1.0)))
    assert document["ok"] is True
    assert document["payroll"] == {
        "lines": 5,
        "posted": 1,
        "held": 1,
        "held_then_released": 1,
        "blocked": {"amount_limit_exceeded": 1},
        "refused": {"unknown_account": 1},
        "answered_again": 1,
        "seconds": 1.0,
    }
