"""Accounts that belong to the house, one set per asset: the ledger is not ready while one of them is missing."""

from typing import Final, NamedTuple

from libs.common.ids import system_account_id
from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR

RESERVE: Final = "SYS-RESERVE-0001"
"""Where money enters from: the only account that may go below zero, as far as a balance can be written at all."""
NUMBERS: Final = (RESERVE, "SYS-TREASURY-0001", "SYS-FEES-0001", "SYS-SUSPENSE-0001", "SYS-TRANSIT-0001")


class SystemAccount(NamedTuple):
    """One account of the house."""

    account_id: str
    account_number: str
    asset: str
    minimum_minor: int


SYSTEM_ACCOUNTS: Final = tuple(
    SystemAccount(system_account_id(asset, number), number, asset, -MAX_AMOUNT_MINOR if number == RESERVE else 0)
    for asset in ASSET_EXPONENTS
    for number in NUMBERS
)
RESERVE_OF: Final = {asset: system_account_id(asset, RESERVE) for asset in ASSET_EXPONENTS}
"""asset → the account deposits come from."""
