"""Who owns which account, and how far each customer is verified: a cache over the gateway's own projections.

Every api process follows the owners' topics from their tip and keeps what it has cached current. An account the
projection does not know yet is asked for once at its owner, before anybody is told that it does not exist.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import httpx2
import msgspec
import structlog

from libs.common.clock import monotonic_seconds
from libs.common.contracts.accounts import AccountChanged, CustomerChanged
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.transfers import Party
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.messaging.batched_record import UNREADABLE
from libs.common.messaging.records import Glimpse
from services.gateway.store.directory import KnownAccount, KnownCustomer, load_accounts, load_customers, save_accounts

log = structlog.get_logger()

_CACHED_MAX: Final = 200_000
_ASK_SECONDS: Final = 2.0
_ASKED_MAX: Final = 5000
"""Accounts asked for at once: 200 kB."""
_NOBODYS_SECONDS: Final = 3.0
_NOBODYS_MAX: Final = 20_000

_read_account = msgspec.json.Decoder(AccountChanged).decode
_read_customer = msgspec.json.Decoder(CustomerChanged).decode
_read_verification = msgspec.json.Decoder(VerificationChanged).decode


class Directory:
    """Answers from memory whenever it can; `fetch` brings what is missing."""

    def __init__(
        self,
        connection: HotConnection,
        accounts_api: httpx2.AsyncClient,
        internal_token: str,
        seconds: Callable[[], float] = monotonic_seconds,
    ) -> None:
        """Use this connection for the projections and this client to ask the accounts service."""
        self._connection = connection
        self._accounts_api = accounts_api
        self._internal_token = internal_token
        self.accounts: dict[str, KnownAccount] = {}
        self.customers: dict[str, KnownCustomer] = {}
        self._seconds = seconds
        self._nobodys: dict[str, float] = {}
        """account id → until when its owner need not be asked again: he did not know it."""

    def party(self, user_id: str) -> Party:
        """Return a cached customer as the command carries him. `fetch` must have been called for his accounts."""
        customer = self.customers[user_id]
        return Party(user_id, customer.kyc_tier, customer.kyc_version)

    def has(self, account_ids: Iterable[str], user_id: str) -> bool:
        """Tell whether everything about these accounts and this user is in memory."""
        customers, accounts = self.customers, self.accounts
        if user_id not in customers:
            return False
        for account_id in account_ids:
            account = accounts.get(account_id)
            if account is None or account.owner_id not in customers:
                return False
        return True

    def fetch(self, account_ids: Collection[str], user_id: str) -> asyncio.Task[None]:
        """Bring the accounts, their owners and the user into memory, as far as anybody knows them.

        Raises, when awaited: Unavailable.
        """
        return asyncio.create_task(self._fetch(account_ids, user_id))

    async def _fetch(self, account_ids: Collection[str], user_id: str) -> None:
        if len(self.accounts) > _CACHED_MAX or len(self.customers) > _CACHED_MAX:
            self.accounts.clear()
            self.customers.clear()
        missing = [account_id for account_id in set(account_ids) if account_id not in self.accounts]
        if missing:
            await self._fetch_accounts(missing)
        owners = {self.accounts[a].owner_id for a in account_ids if a in self.accounts} | {user_id}
        unknown = [owner for owner in owners if owner not in self.customers]
        if unknown:
            async with self._connection.autocommit() as connection:
                found = {customer.user_id: customer for customer in await load_customers(connection, unknown)}
            for owner in unknown:
                self.customers[owner] = found.get(owner) or KnownCustomer(owner)

    async def _fetch_accounts(self, missing: Sequence[str]) -> None:
        """Bring what the projection knows, and ask the owner about all the rest at once."""
        async with self._connection.autocommit() as connection:
            for account in await load_accounts(connection, missing):
                self.accounts[account.account_id] = account
        now = self._seconds()
        unknown = [a for a in missing if a not in self.accounts and self._nobodys.get(a, now) <= now]
        for start in range(0, len(unknown), _ASKED_MAX):
            asked = unknown[start : start + _ASKED_MAX]
            found = await self._ask_owner(asked)
            if found:
                async with self._connection.autocommit() as connection:
                    await save_accounts(connection, found)
            self.accounts.update((account.account_id, account) for account in found)
            self._note_nobodys(asked)

    def _note_nobodys(self, asked: Sequence[str]) -> None:
        """Remember for a moment which accounts nobody knows, so that asking for them over and over costs nothing."""
        if len(self._nobodys) > _NOBODYS_MAX:
            self._nobodys.clear()
        until = self._seconds() + _NOBODYS_SECONDS
        self._nobodys.update((account_id, until) for account_id in asked if account_id not in self.accounts)

    async def _ask_owner(self, account_ids: Sequence[str]) -> list[KnownAccount]:
        """Ask the accounts service once; what it does not know is absent. Raises: Unavailable."""
        try:
            answer = await self._accounts_api.post(
                "/internal/accounts/find",
                json={"account_ids": account_ids},
                headers={"X-Internal-Token": self._internal_token},
                timeout=_ASK_SECONDS,
            )
        except httpx2.HTTPError as failure:
            log.warning("accounts_not_asked", error=type(failure).__name__)
            raise _accounts_unavailable() from failure
        if not answer.is_success:
            log.warning("accounts_not_asked", status=answer.status_code)
            raise _accounts_unavailable()
        return [
            KnownAccount(known["account_id"], known["owner_id"], known["asset"], known["status"], known["version"])
            for known in answer.json()["accounts"]
        ]

    def follow_accounts(self, glimpses: Sequence[Glimpse]) -> None:
        """Keep cached accounts current."""
        for message in _readable(glimpses, _read_account):
            known = self.accounts.get(message.account_id)
            if known is not None and known.version < message.version:
                known.status, known.version = message.status, message.version

    def follow_customers(self, glimpses: Sequence[Glimpse]) -> None:
        """Keep cached customers' profiles current."""
        for message in _readable(glimpses, _read_customer):
            known = self.customers.get(message.user_id)
            if known is not None and known.profile_version < message.version:
                known.profile, known.profile_version = message.profile, message.version

    def follow_verifications(self, glimpses: Sequence[Glimpse]) -> None:
        """Keep cached customers' tiers current."""
        for message in _readable(glimpses, _read_verification):
            known = self.customers.get(message.user_id)
            if known is not None and known.kyc_version < message.version:
                known.kyc_tier, known.kyc_version = message.tier, message.version


def _accounts_unavailable() -> Unavailable:
    return Unavailable("accounts_unavailable", "Whose account this is cannot be looked up now; try again.")


def _readable(glimpses: Sequence[Glimpse], read: Any) -> Iterable[Any]:
    """Decode what can be decoded; parking the rest is the consumer group's work, not the tip reader's."""
    for _, payload in glimpses:
        try:
            yield read(payload)
        except UNREADABLE:
            continue
