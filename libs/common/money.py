"""Money: integers in minor units, always beside their asset. No floats anywhere near it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MAX_AMOUNT_MINOR: Final = 2**53 - 1
"""Largest amount and largest balance, either sign: every JSON reader keeps integers up to here exact (RFC 8259, 6)."""

FIRST_ASSETS: Final[Mapping[str, int]] = MappingProxyType({"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "BTC": 8})
"""The assets every installation begins with: code → how many decimal digits the minor unit has (ISO 4217; satoshi)."""
EXPONENT_MAX: Final = 18
_known: Final[dict[str, int]] = dict(FIRST_ASSETS)
ASSET_EXPONENTS: Final[Mapping[str, int]] = MappingProxyType(_known)
"""The assets this process knows of: grows while it runs, by `know_asset`. An asset never leaves, nor its exponent."""
_CODE: Final = re.compile(r"[A-Z][A-Z0-9]{2,11}")


def know_asset(code: str, exponent: int) -> None:
    """Take an asset in that the ledger keeps. Raises: ValueError for a code or exponent that no asset can have."""
    if _CODE.fullmatch(code) is None:
        message = f"{code!r} is no asset code: 3 to 12 capital letters and digits, the first a letter"
        raise ValueError(message)
    if not 0 <= exponent <= EXPONENT_MAX:
        message = f"an asset has 0 to {EXPONENT_MAX} decimal digits, not {exponent}"
        raise ValueError(message)
    if _known.setdefault(code, exponent) != exponent:
        message = f"{code} has {_known[code]} decimal digits, for ever"
        raise ValueError(message)


def format_minor(amount_minor: int, asset: str) -> str:
    """Write an amount for people: `format_minor(-1234_50, "USD")` is `-1,234.50 USD`."""
    return format_units(amount_minor, asset, ASSET_EXPONENTS[asset])


def format_units(amount_minor: int, asset: str, exponent: int) -> str:
    """Write an amount of an asset whose minor unit has this many decimal digits; the process need not know it."""
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    digits = f"{whole:,}.{fraction:0{exponent}d}" if exponent else f"{whole:,}"
    return f"{sign}{digits} {asset}"
