"""An application is read before anybody reviews it."""

from datetime import date

import pytest

from libs.common.errors import Unprocessable
from services.kyc.domain.application import age_in_years, read_application
from services.kyc.domain.countries import COUNTRIES
from services.kyc.domain.verification import Application

TODAY = date(2026, 3, 1)


def read(*, birth_date: str = "1990-12-10", country: str = "GB") -> Application:
    return read_application(full_name="Ada", birth_date=birth_date, country=country, today=TODAY)


def test_a_proper_application_is_accepted() -> None:
    assert read() == Application(full_name="Ada", birth_date=date(1990, 12, 10), country="GB")


@pytest.mark.parametrize(
    ("birth_date", "code"),
    [
        ("2026-03-02", "birth_date_in_future"),
        ("9999-12-31", "birth_date_in_future"),
        ("2026-03-01", "under_age"),
        ("2008-03-02", "under_age"),
        ("1895-02-28", "birth_date_invalid"),
        ("0001-01-01", "birth_date_invalid"),
        ("2001-02-29", "birth_date_invalid"),
        ("0000-01-01", "birth_date_invalid"),
        ("yesterday", "birth_date_invalid"),
        ("", "birth_date_invalid"),
    ],
)
def test_a_birth_date_that_cannot_be_is_refused(birth_date: str, code: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        read(birth_date=birth_date)
    assert refusal.value.code == code


def test_on_his_eighteenth_birthday_somebody_is_old_enough() -> None:
    assert read(birth_date="2008-03-01").birth_date == date(2008, 3, 1)


@pytest.mark.parametrize("country", ["", "gb", "UK", "EU", "XX", "ZZ", "GBR", "G\0"])
def test_a_country_that_iso_does_not_list_is_refused(country: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        read(country=country)
    assert refusal.value.code == "unknown_country"


def test_the_list_of_countries_is_complete_and_well_formed() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)


def test_who_was_born_on_a_leap_day_ages_in_march() -> None:
    born = date(2008, 2, 29)
    assert age_in_years(born, date(2026, 2, 28)) == 17
    assert age_in_years(born, date(2026, 3, 1)) == 18
