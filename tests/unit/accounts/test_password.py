"""Which passwords somebody may choose."""

import pytest

from libs.common.errors import Unprocessable
from services.accounts.domain.password import canonical_password
from services.accounts.passwords import COMMON_PASSWORDS, Passwords

PASSWORDS = Passwords()


def refused(password: str) -> str:
    try:
        PASSWORDS.require_acceptable(
            password, email="ada.lovelace@example.com", full_name="Ada King, Countess of Lovelace"
        )
    except Unprocessable as refusal:
        return refusal.code
    return ""


def test_a_password_is_the_same_on_every_keyboard() -> None:
    assert canonical_password("pa\u0308sswort") == canonical_password("pässwort")


def test_there_are_ten_thousand_common_ones() -> None:
    assert len(COMMON_PASSWORDS) == 10_000
    assert {"123456", "password", "qwerty123456"} <= COMMON_PASSWORDS


@pytest.mark.parametrize("password", ["qwerty123456", "QWERTY123456", "\uff51werty123456", "finalfantasy"])
def test_a_common_one_is_refused_however_it_is_written(password: str) -> None:
    assert refused(password) == "password_common"


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@example.com",
        "Ada.Lovelace@Example.com1",
        "lovelace1815!",
        "AdaKingLovelace7",
        "\uff21da.lovelace2024",
    ],
)
def test_ones_own_name_and_e_mail_do_not_make_a_password(password: str) -> None:
    assert refused(password) == "password_personal"


@pytest.mark.parametrize("password", ["correct horse battery", "lovelace and 8 more", "kingdom of numbers 12"])
def test_what_is_long_enough_without_them_is_accepted(password: str) -> None:
    assert refused(password) == ""
