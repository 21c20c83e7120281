"""Another service's digests, asked over HTTP with the internal token."""

from typing import Final

import httpx2
import msgspec

from libs.common.digests.digest_table import Group
from libs.common.errors import Unavailable

_TIMEOUT: Final = httpx2.Timeout(130.0, connect=2.0)
_OK: Final = 200
_decode_groups = msgspec.json.Decoder(list[tuple[str, int, str]]).decode
_decode_rows = msgspec.json.Decoder(dict[str, str]).decode
_decode_count = msgspec.json.Decoder(int).decode


class Neighbour:
    """A service that publishes digests. Raises: Unavailable where it does not answer, at every question."""

    def __init__(self, name: str, client: httpx2.AsyncClient, internal_token: str) -> None:
        """`client` has the service's address; whoever made it closes it."""
        self.name = name
        self._client = client
        self._headers = {"x-internal-token": internal_token}

    def digests(self, table: str) -> "DistantDigests":
        """Return the digests of what it calls by this name."""
        return DistantDigests(self, table)

    async def unsent(self) -> int:
        """Return how many outbox rows have waited for longer than the broker needs."""
        return _decode_count(await self.ask("GET", "/internal/digests-unsent"))

    async def forget(self, table: str, ids: list[str]) -> None:
        """Have it give up what it holds for these ids, so that it believes what it is told next."""
        await self.ask("POST", f"/internal/digests/{table}/forget", content=msgspec.json.encode(ids))

    async def ask(
        self, method: str, path: str, params: dict[str, str | int] | None = None, content: bytes | None = None
    ) -> bytes:
        """Return the body of the answer."""
        headers = self._headers if content is None else {**self._headers, "content-type": "application/json"}
        try:
            answer = await self._client.request(
                method, path, params=params, content=content, headers=headers, timeout=_TIMEOUT
            )
        except httpx2.HTTPError as failure:
            raise self._silent(type(failure).__name__) from failure
        if answer.status_code != _OK:
            raise self._silent(f"HTTP {answer.status_code}")
        return answer.content

    def _silent(self, cause: str) -> Unavailable:
        return Unavailable("digest_unavailable", f"{self.name} does not give its digests ({cause}).")


class DistantDigests:
    """One table of a neighbour."""

    def __init__(self, neighbour: Neighbour, table: str) -> None:
        """Ask this neighbour."""
        self._neighbour = neighbour
        self._path = f"/internal/digests/{table}"

    async def groups(self, prefix: str, digits: int, upto: str) -> dict[str, Group]:
        """Return the digests of the groups below the prefix."""
        body = await self._neighbour.ask("GET", self._path, {"prefix": prefix, "digits": digits, "upto": upto})
        return {name: Group(count, total) for name, count, total in _decode_groups(body)}

    async def rows(self, prefix: str, upto: str) -> dict[str, str]:
        """Return id → what is said of it, below the prefix."""
        return _decode_rows(await self._neighbour.ask("GET", f"{self._path}/rows", {"prefix": prefix, "upto": upto}))
