"""Account numbers for people: `TS`, two check digits, twelve digits. Example: `TS17000000000001`.

The check digits are those of ISO 7064 MOD 97-10, arranged as in an IBAN (ISO 13616): the first four characters move to
the end, letters become two digits (A = 10 … Z = 35), and the whole number leaves 1 when divided by 97. Every single
wrong digit and every swap of two neighbours is noticed.
"""

import re
from typing import Final

from libs.common.invariants import check

PREFIX: Final = "TS"
SERIAL_MAX: Final = 10**12 - 1
_SHAPE: Final = re.compile(r"TS[0-9]{14}")
_MODULUS: Final = 97
_CHECK_DIGITS: Final = range(2, _MODULUS + 2)
"""02 to 98: three other values would leave the right remainder too, yet are never handed out."""


def account_number(serial: int) -> str:
    """Return the number of the serial, 1 to `SERIAL_MAX`. Raises: InvariantBroken outside of that."""
    check(1 <= serial <= SERIAL_MAX, "account serials have one to twelve digits", serial=serial)
    digits = f"{serial:012d}"
    check_digits = _MODULUS + 1 - _remainder(f"{PREFIX}00{digits}")
    return f"{PREFIX}{check_digits:02d}{digits}"


def is_account_number(text: str) -> bool:
    """Tell whether the text is a well-formed number with the right check digits."""
    return bool(_SHAPE.fullmatch(text)) and _remainder(text) == 1 and int(text[2:4]) in _CHECK_DIGITS


def _remainder(number: str) -> int:
    rearranged = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % _MODULUS
