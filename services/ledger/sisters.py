"""What the ledger asks accounts over HTTP about single accounts, with the token that all services share.

Accounts alone knows which accounts were taken out of their owners' sight. They were closed before; so it is asked
about closed accounts only, and everybody else reads without it.
"""

from collections.abc import Collection
from typing import Final

import httpx2
import msgspec
from pydantic import SecretStr

from libs.common.errors import Unavailable
from libs.common.http.authorities import trusted_authorities

_TIMEOUT: Final = httpx2.Timeout(2.0)


class _Found(msgspec.Struct, frozen=True):
    account_id: str


_decode: Final = msgspec.json.Decoder(dict[str, list[_Found]]).decode


class ShownAccounts:
    """A client at the address of accounts."""

    def __init__(self, url: str, internal_token: SecretStr, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        """Make the client; nothing is opened yet. `transport` replaces the network."""
        headers = {"X-Internal-Token": internal_token.get_secret_value()}
        self._client: Final = httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, verify=trusted_authorities()
        )

    async def among(self, account_ids: Collection[str]) -> frozenset[str]:
        """Return those of the accounts that their owners still see. Raises: Unavailable."""
        if not account_ids:
            return frozenset()
        try:
            answer = await self._client.post("/internal/accounts/find", json={"account_ids": list(account_ids)})
            answer.raise_for_status()
            return frozenset(one.account_id for one in _decode(answer.content)["accounts"])
        except (httpx2.HTTPError, msgspec.MsgspecError, KeyError) as failure:
            raise Unavailable(
                "service_unavailable", "A service behind this route does not answer; try again."
            ) from failure

    async def __aenter__(self) -> None:
        """Nothing is opened before the first question."""

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.aclose()
