"""How patient accounts is with the ledger, and which assets there are."""

import pytest

from libs.common.errors import Unprocessable
from services.accounts.domain.account import ask_again_after, require_known_asset


def test_the_ledger_is_asked_ever_more_rarely_but_never_less_than_every_two_minutes() -> None:
    waits = [ask_again_after(asks).total_seconds() for asks in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)]
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120, 120]


@pytest.mark.parametrize("asset", ["", "usd", "XXX", "US D", "USD\0"])
def test_an_unknown_asset_is_refused(asset: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        require_known_asset(asset)
    assert refusal.value.code == "unknown_asset"


def test_the_known_assets_are_accepted() -> None:
    for asset in ("USD", "EUR", "BTC"):
        require_known_asset(asset)
