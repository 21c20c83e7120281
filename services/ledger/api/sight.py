"""Which closed accounts a reader sees: those that were not deleted, or all where a sister asks in his name.

An export has to show what is held, not what is listed; the reader's own token says all the same whose it is.
"""

from collections.abc import Collection
from typing import Annotated, Final, Protocol

from fastapi import Header
from pydantic import SecretStr

from libs.common.http.sisters import SistersGate


class Sight(Protocol):
    """What a request asks; `ShownAccounts` is one."""

    async def among(self, account_ids: Collection[str]) -> frozenset[str]:
        """Return those of the accounts that are seen. Raises: Unavailable."""


class _Everything:
    async def among(self, account_ids: Collection[str]) -> frozenset[str]:
        return frozenset(account_ids)


class SightOf:
    """What a route depends on to know what its caller sees."""

    def __init__(self, owners: Sight, internal_token: SecretStr) -> None:
        """Take what owners see, and the token that sisters show."""
        self._owners: Final = owners
        self._gate: Final = SistersGate(internal_token)

    def __call__(self, x_internal_token: Annotated[str, Header(include_in_schema=False)] = "") -> Sight:
        """Return the sight of whoever sent the request."""
        return _Everything() if self._gate.knows(x_internal_token) else self._owners
