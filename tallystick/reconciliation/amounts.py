"""Amounts as a report writes them, also of an asset that should not be there."""

from libs.common.money import ASSET_EXPONENTS, format_minor


def written(amount_minor: int, asset: str) -> str:
    """Write an amount for people; of an unknown asset in minor units, because nobody knows its decimals."""
    return format_minor(amount_minor, asset) if asset in ASSET_EXPONENTS else f"{amount_minor:,} minor units of {asset}"
