"""Cells of CSV that somebody else chose, made harmless.

A spreadsheet takes a cell that begins with = + - @, a tab or a carriage return for a formula. Such a cell gets an
apostrophe in front (OWASP, CSV injection).
"""

from typing import Final

_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def defused(cell: str) -> str:
    """Return the cell as no spreadsheet runs it."""
    return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) else cell
