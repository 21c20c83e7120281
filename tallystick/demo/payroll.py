"""The input: a payroll as a business writes it, one payment a line."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR
from tallystick.stack.errors import StackError

PAYROLL_FILE: Final = Path(__file__).parents[2] / "examples" / "payroll.csv"
COLUMNS: Final = ("account", "amount", "asset", "idempotency_key", "note")
_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,8}))?")


class PayrollUnreadable(StackError):
    """The file is no payroll; the text names the line and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class PayrollLine:
    """One payment. `number` is its line in the file, the heading being line 1; the amount may be anything."""

    number: int
    account: str
    amount_minor: int
    asset: str
    idempotency_key: str
    note: str

    @property
    def is_sendable(self) -> bool:
        """Whether the amount is one that a transfer can have at all."""
        return 0 < self.amount_minor <= MAX_AMOUNT_MINOR


def read_payroll(path: Path) -> list[PayrollLine]:
    """Return the lines in the file's order. Raises: PayrollUnreadable."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return parse_payroll(file)
    except (OSError, UnicodeDecodeError) as error:
        raise PayrollUnreadable(f"{path} cannot be read: {error}") from error


def parse_payroll(text: Iterable[str]) -> list[PayrollLine]:
    """Return the lines of a CSV with exactly the five columns. Raises: PayrollUnreadable."""
    rows = csv.reader(text, strict=True)
    if tuple(next(rows, ())) != COLUMNS:
        raise PayrollUnreadable(f"a payroll begins with the line {','.join(COLUMNS)}")
    return [_read_line(number, row) for number, row in enumerate(rows, start=2)]


def _read_line(number: int, row: list[str]) -> PayrollLine:
    if len(row) != len(COLUMNS):
        raise PayrollUnreadable(f"line {number} has {len(row)} columns, not {len(COLUMNS)}")
    account, amount, asset, key, note = row
    try:
        return PayrollLine(number, account, parse_amount(amount, asset), asset, key, note)
    except ValueError as error:
        raise PayrollUnreadable(f"line {number}: {error}") from error


def parse_amount(text: str, asset: str) -> int:
    """Return an amount in minor units, exactly: `1234.5` USD is 123450. Raises: ValueError."""
    found = _AMOUNT.fullmatch(text)
    exponent = ASSET_EXPONENTS.get(asset)
    if found is None or exponent is None:
        raise ValueError(f"{text!r} {asset} is no amount of an asset we know")
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if len(fraction) > exponent:
        raise ValueError(f"{text!r} has more than {exponent} decimals, {asset} has no smaller unit")
    amount_minor = int(whole + fraction.ljust(exponent, "0"))
    return -amount_minor if sign else amount_minor
