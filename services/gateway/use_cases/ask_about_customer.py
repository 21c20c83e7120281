"""Ask the sisters what no public route tells a customer of himself: his deleted accounts."""

from collections.abc import AsyncIterator
from typing import Final

import httpx2
import msgspec

from libs.common.errors import Unavailable
from libs.common.ids import LOWEST_ID

_TIMEOUT: Final = httpx2.Timeout(10.0, connect=2.0)
_decode_page: Final = msgspec.json.Decoder(dict[str, list[msgspec.Raw]]).decode


class _Deleted(msgspec.Struct, frozen=True):
    account_id: str


_decode_deleted: Final = msgspec.json.Decoder(_Deleted).decode


class AskAboutCustomer:
    """Asks as a service and not as the customer: so the caller names none but who asks. Raises: Unavailable."""

    def __init__(self, accounts: httpx2.AsyncClient, internal_token: str) -> None:
        """Take a client at the sister's address."""
        self._accounts = accounts
        self.internal_token: Final = internal_token

    async def deleted_accounts(self, user_id: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (account id, the account as JSON), oldest first."""
        path, after = f"/internal/customers/{user_id}/deleted-accounts", LOWEST_ID
        while page := (await self._ask(self._accounts, path, after=after))["accounts"]:
            for account in page:
                after = _decode_deleted(account).account_id
                yield after, bytes(account)

    async def _ask(self, client: httpx2.AsyncClient, path: str, **query: str) -> dict[str, list[msgspec.Raw]]:
        try:
            answer = await client.get(
                path, params=query, headers={"X-Internal-Token": self.internal_token}, timeout=_TIMEOUT
            )
            answer.raise_for_status()
            return _decode_page(answer.content)
        except (httpx2.HTTPError, msgspec.MsgspecError) as failure:
            raise Unavailable("service_unavailable", "A service that has to be asked does not answer.") from failure
