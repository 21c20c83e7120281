"""Account numbers notice the mistakes people make when they copy them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvariantBroken
from services.accounts.domain.account_number import SERIAL_MAX, account_number, is_account_number

serials = st.integers(min_value=1, max_value=SERIAL_MAX)


def test_a_known_number_has_its_check_digits() -> None:
    # By hand: 000000000001 2928 00 mod 97 = 81, and 98 - 81 = 17.
    assert account_number(1) == "TS17000000000001"


@given(serials)
def test_every_number_handed_out_is_well_formed(serial: int) -> None:
    number = account_number(serial)
    assert len(number) == 16
    assert is_account_number(number)


@given(serials, st.integers(min_value=2, max_value=15), st.integers(min_value=1, max_value=9))
def test_one_wrong_digit_is_noticed(serial: int, place: int, shift: int) -> None:
    number = account_number(serial)
    wrong = str((int(number[place]) + shift) % 10)
    assert not is_account_number(number[:place] + wrong + number[place + 1 :])


@given(serials, st.integers(min_value=2, max_value=14))
def test_two_neighbours_swapped_are_noticed(serial: int, place: int) -> None:
    number = account_number(serial)
    left, right = number[place], number[place + 1]
    swapped = number[:place] + right + left + number[place + 2 :]
    assert is_account_number(swapped) == (left == right)


@pytest.mark.parametrize(
    "text",
    ["", "TS", "TS17000000000001 ", "ts17000000000001", "DE17000000000001", "TS1700000000001", "TS17\u066000000000001"],
)
def test_another_shape_is_no_account_number(text: str) -> None:
    assert not is_account_number(text)


@pytest.mark.parametrize("serial", [0, -1, SERIAL_MAX + 1])
def test_a_serial_outside_twelve_digits_breaks_a_promise(serial: int) -> None:
    with pytest.raises(InvariantBroken):
        account_number(serial)
