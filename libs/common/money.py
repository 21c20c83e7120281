"""Money: integers in minor units, always beside their asset. No floats anywhere near it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MAX_AMOUNT_MINOR: Final = 2**53 - 1
"""Largest amount and largest balance, either sign: every JSON reader keeps integers up to here exact (RFC 8259, 6)."""

ASSET_EXPONENTS: Final[Mapping[str, int]] = MappingProxyType({"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "BTC": 8})
"""asset code → how many decimal digits its minor unit has (ISO 4217; for BTC the satoshi)."""


def format_minor(amount_minor: int, asset: str) -> str:
    """Write an amount for people: `format_minor(-1234_50, "USD")` is `-1,234.50 USD`."""
    exponent = ASSET_EXPONENTS[asset]
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    digits = f"{whole:,}.{fraction:0{exponent}d}" if exponent else f"{whole:,}"
    return f"{sign}{digits} {asset}"
