"""Limits are in US dollars, whatever is sent."""

import pytest

from libs.common.money import MAX_AMOUNT_MINOR
from services.fraud.domain.usd_rates import UsdRate, total_usd_minor, usd_minor_of

YEN = UsdRate(67, 100, version=1)
RATES = {"USD": UsdRate(1, 1, version=1), "EUR": UsdRate(110, 100, version=1), "JPY": YEN}


@pytest.mark.parametrize(("yen", "cents"), [(1, 1), (2, 1), (3, 2), (50, 34), (100, 67), (150, 101)])
def test_conversion_rounds_half_up(yen: int, cents: int) -> None:
    # 50 yen are 33.5 cents, 150 are 100.5.
    assert usd_minor_of(yen, YEN) == cents


def test_a_satoshi_is_worth_less_than_a_cent_and_rounds_to_none() -> None:
    assert usd_minor_of(1, UsdRate(9_500_000, 100_000_000, version=1)) == 0
    assert usd_minor_of(100_000_000, UsdRate(9_500_000, 100_000_000, version=1)) == 95_000_00


def test_each_asset_is_rounded_once_and_then_added() -> None:
    assert total_usd_minor({"USD": 10, "EUR": 5, "JPY": 1}, RATES) == 10 + 6 + 1


def test_what_no_balance_can_hold_is_written_as_the_bound() -> None:
    assert usd_minor_of(MAX_AMOUNT_MINOR, RATES["EUR"]) == MAX_AMOUNT_MINOR
    assert total_usd_minor({"USD": MAX_AMOUNT_MINOR, "EUR": MAX_AMOUNT_MINOR}, RATES) == MAX_AMOUNT_MINOR


def test_a_sum_with_an_asset_without_rate_is_worth_nobody_knows_what() -> None:
    assert total_usd_minor({"USD": 1, "XAU": 1}, RATES) is None
