"""The trial balance adds up per asset; the balance sheet shows each type on its natural side."""

from services.ledger.api.trial_balance import summed_by_asset
from services.ledger.views.trial_balance import CodeTotals


def test_each_asset_is_balanced_by_itself() -> None:
    euros, dollars = summed_by_asset(
        [
            CodeTotals("EUR", "asset", "1000", 1, 50, 0),
            CodeTotals("EUR", "liability", "2000", 2, 0, 50),
            CodeTotals("USD", "asset", "1000", 1, 100, 0),
            CodeTotals("USD", "liability", "2000", 3, 5, 95),
            CodeTotals("USD", "equity", "3000", 1, 0, 7),
            CodeTotals("USD", "income", "4000", 1, 0, 6),
            CodeTotals("USD", "expense", "5000", 1, 3, 0),
        ]
    )
    assert (euros.asset, euros.debit_minor, euros.credit_minor, euros.difference_minor) == ("EUR", 50, 50, 0)
    assert (dollars.debit_minor, dollars.credit_minor, dollars.difference_minor) == (108, 108, 0)
    assert dollars.balance_sheet.model_dump() == {
        "asset_minor": 100,
        "liability_minor": 90,
        "equity_minor": 7,
        "income_minor": 6,
        "expense_minor": 3,
    }


def test_what_does_not_add_up_is_shown() -> None:
    (dollars,) = summed_by_asset([CodeTotals("USD", "asset", "1000", 1, 100, 0)])
    assert dollars.difference_minor == -100
