import pytest

from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR, format_minor


@pytest.mark.parametrize(
    ("amount_minor", "asset", "text"),
    [
        (0, "USD", "0.00 USD"),
        (5, "USD", "0.05 USD"),
        (-5, "USD", "-0.05 USD"),
        (-1234_50, "USD", "-1,234.50 USD"),
        (1_000_000, "JPY", "1,000,000 JPY"),
        (1, "BTC", "0.00000001 BTC"),
        (MAX_AMOUNT_MINOR, "EUR", "90,071,992,547,409.91 EUR"),
    ],
)
def test_an_amount_is_written_with_the_digits_of_its_asset(amount_minor: int, asset: str, text: str) -> None:
    assert format_minor(amount_minor, asset) == text


def test_an_asset_we_do_not_have_cannot_be_written() -> None:
    with pytest.raises(KeyError):
        format_minor(1, "XXX")


def test_the_largest_amount_is_the_largest_integer_every_json_reader_keeps() -> None:
    assert int(float(MAX_AMOUNT_MINOR)) == MAX_AMOUNT_MINOR
    assert float(MAX_AMOUNT_MINOR + 1) == float(MAX_AMOUNT_MINOR + 2)


def test_nobody_can_change_how_many_digits_an_asset_has() -> None:
    with pytest.raises(TypeError):
        ASSET_EXPONENTS["USD"] = 3  # type: ignore[index]  # what it refuses at run time
