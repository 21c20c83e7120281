"""What accounts asks the other services of this system over HTTP, with the token that all of them share."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import httpx2
import structlog
from pydantic import SecretStr

from libs.common.errors import Unavailable
from libs.common.http.authorities import trusted_authorities

log = structlog.get_logger()

_TIMEOUT: Final = httpx2.Timeout(8.0, connect=2.0)

SisterName = Literal["gateway", "ledger"]


class Sisters:
    """Clients at the sisters' addresses. A sister without an address does not answer."""

    def __init__(
        self,
        urls: Mapping[SisterName, str],
        internal_token: SecretStr,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Make the clients; nothing is opened yet. `transport` replaces the network."""
        headers = {"X-Internal-Token": internal_token.get_secret_value()}
        self._clients: Final = {
            name: httpx2.AsyncClient(
                base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, verify=trusted_authorities()
            )
            for name, url in urls.items()
            if url
        }

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def unsettled_account_of(self, user_id: str) -> str | None:
        """Return an account of the customer with money or something pending, as the ledger knows it.

        Raises: Unavailable.
        """
        answer = await self._ask("ledger", "GET", f"/internal/owners/{user_id}/unsettled-account")
        account_id: str | None = answer["account_id"]
        return account_id

    async def close_account(self, *, account_id: str, owner_id: str, attempt_id: str) -> str:
        """Have the ledger close an account; return the code of its refusal, empty for a closed one.

        Raises: Unavailable, also when the ledger has not answered yet.
        """
        body = {"account_id": account_id, "owner_id": owner_id, "attempt_id": attempt_id}
        answer = await self._ask("gateway", "POST", "/internal/account-closings", body)
        if answer["status"] == "accepted":
            raise Unavailable("service_unavailable", "The ledger has not answered yet; try again.")
        return str(answer["code"])

    async def _ask(self, name: SisterName, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        client = self._clients.get(name)
        if client is None:
            raise Unavailable("service_unavailable", "This installation does not say where that service is.")
        try:
            answer = await client.request(method, path, json=body)
            answer.raise_for_status()
            return answer.json()
        except (httpx2.HTTPError, ValueError) as failure:
            log.warning("sister_did_not_answer", sister=name, error=type(failure).__name__)
            raise Unavailable(
                "service_unavailable", "A service behind this route does not answer; try again."
            ) from None
