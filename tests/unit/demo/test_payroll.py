"""The payroll as it is read, and the file that is shipped."""

import runpy
from collections import Counter
from pathlib import Path

import pytest

from tallystick.demo.expectations import SINGLE_LIMIT_MINOR
from tallystick.demo.payroll import PAYROLL_FILE, PayrollUnreadable, parse_amount, parse_payroll, read_payroll

HEADING = "account,amount,asset,idempotency_key,note\n"


@pytest.mark.parametrize(
    ("text", "asset", "minor"),
    [("1234.56", "USD", 123456), ("-0.01", "USD", -1), ("7", "USD", 700), ("0.5", "USD", 50), ("812", "JPY", 812)],
)
def test_an_amount_is_read_exactly(text: str, asset: str, minor: int) -> None:
    assert parse_amount(text, asset) == minor


@pytest.mark.parametrize(
    ("text", "asset"), [("1.005", "USD"), ("1.5", "JPY"), ("1,5", "USD"), ("", "USD"), ("1e3", "USD"), ("1", "XYZ")]
)
def test_what_is_no_exact_amount_is_refused(text: str, asset: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|decimals"):
        parse_amount(text, asset)


def test_a_bad_line_is_named_by_its_number_in_the_file() -> None:
    with pytest.raises(PayrollUnreadable, match="line 3"):
        parse_payroll([HEADING, "employee-01,1.00,USD,k1,n\n", "employee-02,one,USD,k2,n\n"])


def test_another_heading_is_no_payroll() -> None:
    with pytest.raises(PayrollUnreadable, match="begins with"):
        parse_payroll(["amount,account,asset,idempotency_key,note\n"])


def test_the_shipped_file_holds_a_thousand_lines_and_one_of_each_trouble() -> None:
    lines = read_payroll(PAYROLL_FILE)
    employees = {f"employee-{number:02}" for number in range(1, 41)}
    keys = Counter(line.idempotency_key for line in lines)
    assert len(lines) == 1000
    assert {line.account for line in lines} >= employees
    assert [line.account for line in lines if line.account not in employees] == ["employee-71"]
    assert [line.amount_minor for line in lines if line.amount_minor > SINGLE_LIMIT_MINOR] == [SINGLE_LIMIT_MINOR + 1]
    assert [line.amount_minor for line in lines if line.amount_minor < 0] == [-219_95]
    assert [number for number in keys.values() if number > 1] == [2]
    assert sum(line.amount_minor for line in lines if 0 < line.amount_minor <= SINGLE_LIMIT_MINOR) < 5_000_000_00


def test_the_shipped_file_is_what_its_maker_writes(tmp_path: Path) -> None:
    maker = runpy.run_path(str(PAYROLL_FILE.with_name("make_payroll.py")))
    maker["write"](tmp_path / "payroll.csv")
    assert (tmp_path / "payroll.csv").read_bytes() == PAYROLL_FILE.read_bytes()
