"""Accounts that belong to the house, one set per asset: the ledger is not ready while one of them is missing."""

from functools import cache
from typing import Final, NamedTuple

from libs.common.ids import system_account_id
from libs.common.money import MAX_AMOUNT_MINOR

RESERVE: Final = "SYS-RESERVE-0001"
"""Where money enters from and leaves to: it may go below zero, as far as a balance can be written at all."""
TREASURY: Final = "SYS-TREASURY-0001"
FEES: Final = "SYS-FEES-0001"
SUSPENSE: Final = "SYS-SUSPENSE-0001"
TRANSIT: Final = "SYS-TRANSIT-0001"
NUMBERS: Final = (RESERVE, TREASURY, FEES, SUSPENSE, TRANSIT)

CHART: Final = {
    RESERVE: ("asset", "1000"),
    TRANSIT: ("asset", "1900"),
    SUSPENSE: ("liability", "2900"),
    TREASURY: ("equity", "3000"),
    FEES: ("income", "4000"),
}
"""account number → (type, code) in the chart of accounts; customers' accounts are liabilities, code 2000.

A balance is a sum of credits less debits, so the reserve's stands below zero for money that the house holds outside.
"""


class SystemAccount(NamedTuple):
    """One account of the house."""

    account_id: str
    account_number: str
    asset: str
    minimum_minor: int


def system_accounts_of(asset: str) -> tuple[SystemAccount, ...]:
    """Return the accounts of the house that an asset has."""
    return tuple(
        SystemAccount(system_account_id(asset, number), number, asset, -MAX_AMOUNT_MINOR if number == RESERVE else 0)
        for number in NUMBERS
    )


@cache
def reserve_of(asset: str) -> str:
    """Return the account that the asset's deposits come from and its withdrawals go to."""
    return system_account_id(asset, RESERVE)
