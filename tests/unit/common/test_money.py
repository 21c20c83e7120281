import pytest

from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR, format_minor, know_asset


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


@pytest.mark.parametrize(
    ("code", "exponent"),
    [("USD", 3), ("usd", 2), ("US", 2), ("1USD", 2), ("US D", 2), ("ABCDEFGHIJKLM", 2), ("USDX\n", 2), ("XNEG", -1),
     ("XLONG", 19)],
)  # fmt: skip
def test_what_cannot_be_an_asset_is_refused(code: str, exponent: int) -> None:
    before = dict(ASSET_EXPONENTS)
    with pytest.raises(ValueError, match=r"decimal digits|no asset code"):
        know_asset(code, exponent)
    assert before == ASSET_EXPONENTS


def test_an_asset_that_is_known_may_be_told_again() -> None:
    know_asset("XUNIT", 0)
    know_asset("XUNIT", 0)
    assert format_minor(1_000, "XUNIT") == "1,000 XUNIT"
