"""Whom accounts has erased, asked over HTTP with the token that all services of this system share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import httpx2
import msgspec
from pydantic import SecretStr

from libs.common.clock import to_rfc3339
from libs.common.errors import Unavailable
from libs.common.http.authorities import trusted_authorities

_TIMEOUT: Final = httpx2.Timeout(8.0, connect=2.0)


class Erased(msgspec.Struct, frozen=True):
    """A customer who was erased at accounts, and when (RFC 3339 UTC)."""

    user_id: str
    erased_at: str


_decode: Final = msgspec.json.Decoder(dict[str, list[Erased]]).decode


class ErasedAtAccounts:
    """A client at the address of accounts."""

    def __init__(self, url: str, internal_token: SecretStr, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        """Make the client; nothing is opened yet. `transport` replaces the network."""
        headers = {"X-Internal-Token": internal_token.get_secret_value()}
        self._client: Final = httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, verify=trusted_authorities()
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def page(self, since: datetime, after: str) -> Sequence[Erased]:
        """Return a page of those erased behind (moment, customer), oldest first. Raises: Unavailable."""
        try:
            answer = await self._client.get("/internal/erasures", params={"since": to_rfc3339(since), "after": after})
            answer.raise_for_status()
            return _decode(answer.content)["erasures"]
        except (httpx2.HTTPError, msgspec.MsgspecError) as failure:
            raise Unavailable(
                "service_unavailable", "A service behind this route does not answer; try again."
            ) from failure
