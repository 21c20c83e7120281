"""What accounts tells every other service of credentials: which were revoked, and what an API key is worth."""

from typing import Final, Protocol

import httpx2
import msgspec

from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.errors import Unavailable
from libs.common.http.api_keys import KeyFacts
from libs.common.http.authorities import trusted_authorities

_TIMEOUT: Final = httpx2.Timeout(2.0)
_OK: Final = 200
_NOT_FOUND: Final = 404


class RevokedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Revocations, oldest first. `as_of` is the owner's time before it looked; `next_after` is "" on the last page."""

    as_of: str
    revocations: list[CredentialsRevoked]
    next_after: str


class CredentialOwner(Protocol):
    """Whoever knows; asked by each process that verifies credentials. Raises: Unavailable, at every question."""

    async def revoked(self, *, since: str, after: str) -> RevokedPage:
        """Return what was revoked since (RFC 3339; "" for as long as any token lives), behind a page's `next_after`."""

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        """Return what a living key is worth; None for one that is unknown, revoked, expired or of another secret."""

    async def close(self) -> None:
        """Disconnect."""


_decode_page: Final = msgspec.json.Decoder(RevokedPage).decode
_decode_key: Final = msgspec.json.Decoder(KeyFacts).decode


class DistantOwner:
    """Accounts, asked over HTTP with the internal token."""

    def __init__(self, accounts_url: str, internal_token: str) -> None:
        """Nothing is opened before the first question."""
        self._client = httpx2.AsyncClient(base_url=accounts_url, timeout=_TIMEOUT, verify=trusted_authorities())
        self._headers = {"x-internal-token": internal_token}

    async def revoked(self, *, since: str, after: str) -> RevokedPage:
        """Ask for a page."""
        page = await self._ask("/internal/revocations", {"since": since, "after": after})
        if page is None:
            raise _away()
        return _decode_page(page)

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        """Ask about a key."""
        facts = await self._ask(f"/internal/api-keys/{key_id}", {"secret_sha256": secret_sha256})
        return None if facts is None else _decode_key(facts)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    async def _ask(self, path: str, params: dict[str, str]) -> bytes | None:
        try:
            answer = await self._client.get(path, params=params, headers=self._headers)
        except httpx2.HTTPError as failure:
            raise _away() from failure
        if answer.status_code == _NOT_FOUND:
            return None
        if answer.status_code != _OK:
            raise _away()
        return answer.content


def _away() -> Unavailable:
    return Unavailable("credentials_unknown", "Accounts, which knows what this is worth, does not answer; try again.")
