"""Ask the sisters what no public route tells a customer of himself: deleted accounts, decisions on his transfers."""

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


class _Decision(msgspec.Struct, frozen=True):
    transfer_id: str
    decided_at: str


_decode_decision: Final = msgspec.json.Decoder(_Decision).decode
_decode_deleted: Final = msgspec.json.Decoder(_Deleted).decode


class AskAboutCustomer:
    """Asks as a service and not as the customer: so the caller names none but who asks. Raises: Unavailable."""

    def __init__(self, accounts: httpx2.AsyncClient, fraud: httpx2.AsyncClient, internal_token: str) -> None:
        """Take clients at the sisters' addresses."""
        self._accounts = accounts
        self._fraud = fraud
        self.internal_token: Final = internal_token

    async def deleted_accounts(self, user_id: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (account id, the account as JSON), oldest first."""
        path, after = f"/internal/customers/{user_id}/deleted-accounts", LOWEST_ID
        while page := (await self._ask(self._accounts, path, after=after))["accounts"]:
            for account in page:
                after = _decode_deleted(account).account_id
                yield after, bytes(account)

    async def decisions(self, user_id: str) -> AsyncIterator[bytes]:
        """Yield what fraud told him of each transfer that he sent, as JSON, oldest first."""
        path, since, after = f"/internal/customers/{user_id}/decisions", "1970-01-01T00:00:00.000000Z", LOWEST_ID
        while page := (await self._ask(self._fraud, path, since=since, after=after))["decisions"]:
            for decision in page:
                yield bytes(decision)
            last = _decode_decision(page[-1])
            since, after = last.decided_at, last.transfer_id

    async def _ask(self, client: httpx2.AsyncClient, path: str, **query: str) -> dict[str, list[msgspec.Raw]]:
        try:
            answer = await client.get(
                path, params=query, headers={"X-Internal-Token": self.internal_token}, timeout=_TIMEOUT
            )
            answer.raise_for_status()
            return _decode_page(answer.content)
        except (httpx2.HTTPError, msgspec.MsgspecError) as failure:
            raise Unavailable("service_unavailable", "A service that has to be asked does not answer.") from failure
