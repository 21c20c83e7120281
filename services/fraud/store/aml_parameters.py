"""`fraud.aml_parameters`: by what payments are judged."""

from dataclasses import fields
from typing import Final

import asyncpg

from services.fraud.domain.aml_parameters import AmlParameters

_COLUMNS: Final = ", ".join(field.name for field in fields(AmlParameters))
_IN_FORCE: Final = f"""
    SELECT DISTINCT ON (profile) profile, {_COLUMNS} FROM fraud.aml_parameters ORDER BY profile, version DESC
"""  # noqa: S608 -- columns are the fields of the class


async def read_parameters(connection: asyncpg.Connection) -> dict[str, AmlParameters]:
    """Return profile → the newest version of its figures."""
    return {profile: AmlParameters(*columns) for profile, *columns in await connection.fetch(_IN_FORCE)}
