"""What an application must say before anybody reviews it."""

from datetime import date
from typing import Final

from libs.common.errors import Unprocessable
from services.kyc.domain.countries import COUNTRIES
from services.kyc.domain.verification import Application

ADULT_YEARS: Final = 18
_OLDEST_YEARS: Final = 130


def read_application(*, full_name: str, birth_date: str, country: str, today: date) -> Application:
    """Return the application, its birth date read from `YYYY-MM-DD`.

    Raises: Unprocessable `birth_date_invalid`, `birth_date_in_future`, `under_age`, `unknown_country` (in that order).
    """
    try:
        born = date.fromisoformat(birth_date)
    except ValueError as error:
        raise Unprocessable("birth_date_invalid", "Write the date of birth as YYYY-MM-DD.") from error
    if born > today:
        raise Unprocessable("birth_date_in_future", "The date of birth lies in the future.")
    years = age_in_years(born, today)
    if years > _OLDEST_YEARS:
        raise Unprocessable("birth_date_invalid", "Nobody has become that old.")
    if years < ADULT_YEARS:
        raise Unprocessable("under_age", "Applicants are at least 18 years old.", years_min=ADULT_YEARS)
    if country not in COUNTRIES:
        raise Unprocessable("unknown_country", "Use an ISO 3166-1 alpha-2 code, such as DE.")
    return Application(full_name=full_name, birth_date=born, country=country)


def age_in_years(born: date, today: date) -> int:
    """Return full years of age; who was born on 29 February turns a year older on 1 March of other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
