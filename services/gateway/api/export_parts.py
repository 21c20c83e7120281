"""What is held about a customer, as files of JSON: asked of each service with his own token, to the last page.

No service is asked by its public routes for anything that he could not ask himself, so nothing of others can be in it.
What no public route tells, sisters tell the gateway under his id; what the gateway itself keeps is read under it.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import httpx2
import msgspec
from fastapi import Request

from libs.common.contracts.audit import AuditEntry
from libs.common.db.reading import Reading
from libs.common.errors import Unavailable
from libs.common.http.auth import Principal
from libs.common.http.cursors import Cursor
from services.gateway.api.batch_files import progress_shown
from services.gateway.api.proxy import ask_for_whole
from services.gateway.api.webhook_models import DeliveryShown, WebhookShown
from services.gateway.use_cases.ask_about_customer import AskAboutCustomer
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.replay_events import ReplayEvents
from services.gateway.views.audit_entries import AuditEntriesView, AuditQuery
from services.gateway.views.batches import BatchView
from services.gateway.views.transfer_lists import ID_MAX, TransferPage, with_memos

_OK: Final = 200
_ABSENT: Final = 404
_PAGE: Final = 100
_TRANSFERS: Final = 200
_ENTRIES: Final = 1000
_POSITION_MAX: Final = 2**63 - 1
_SEE_SERVICE_ACCOUNTS: Final = frozenset({"admin", "auditor"})
_READS: Final = ("read", "list")
_SUSPECTS: Final = "compliance"
"""The role whose reading tells that somebody is suspected."""

_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_decode_page = msgspec.json.Decoder(TransferPage).decode

Texts = AsyncIterator[bytes]
Members = dict[str, msgspec.Raw]


class Sources(NamedTuple):
    """Where it comes from."""

    clients: Mapping[str, httpx2.AsyncClient]
    sisters: AskAboutCustomer
    reading: Reading
    webhooks: KeepWebhooks
    deliveries: ReplayEvents
    batches: BatchView
    audit: AuditEntriesView


class _Named(msgspec.Struct, frozen=True):
    account_id: str


class ExportParts:
    """The files about one customer. Raises: Unavailable, everywhere."""

    def __init__(self, sources: Sources, request: Request, principal: Principal) -> None:
        """Ask in the name of this caller."""
        self._sources = sources
        self._request = request
        self._principal = principal
        self._account_ids: list[str] = []

    async def profile(self) -> bytes:
        """Return who he is."""
        return _encode(await self._ask("accounts", "/api/v1/me"))

    async def files(self) -> AsyncIterator[tuple[str, Texts]]:
        """Yield (name, texts) of each file but his profile; the texts of one are read before the next is asked for."""
        # First, because kyc asks for a recent proof, too, and lists may be long.
        yield "kyc-status.json", self._one("kyc", "/api/v1/kyc/status")
        yield "kyc-application.json", self._one("kyc", "/api/v1/kyc/application")
        yield "kyc-documents.json", _array(self._listed("kyc", "/api/v1/kyc/documents", "documents"))
        yield "sessions.json", _array(self._listed("accounts", "/api/v1/auth/sessions", "sessions"))
        yield "api-keys.json", _array(self._listed("accounts", "/api/v1/api-keys", "api_keys"))
        if not self._principal.roles.isdisjoint(_SEE_SERVICE_ACCOUNTS):
            yield "service-accounts.json", _array(self._service_accounts())
        yield "accounts.json", _array(self._accounts())
        for account_id in self._account_ids:
            folder = f"accounts/{account_id}"
            yield f"{folder}/balances.json", self._one("ledger", f"/api/v1/accounts/{account_id}")
            yield f"{folder}/statement.json", self._statement(account_id)
            yield f"{folder}/transfers.json", _array(self._transfers(account_id))
            yield f"{folder}/holds.json", _array(self._transfers(account_id, status="held"))
        yield "decisions.json", _array(self._sources.sisters.decisions(self._principal.user_id))
        async for file in self._of_the_gateway():
            yield file

    async def _of_the_gateway(self) -> AsyncIterator[tuple[str, Texts]]:
        user_id = self._principal.user_id
        webhooks = await self._sources.webhooks.list(user_id)
        yield "webhooks.json", _array(_each([WebhookShown.of(one).model_dump_json().encode() for one in webhooks]))
        for webhook in webhooks:
            yield f"webhooks/{webhook.webhook_id}/deliveries.json", _array(self._deliveries(webhook.webhook_id))
        yield "batches.json", _array(self._batches())
        async for batch_id, results in self._batch_results():
            yield f"batches/{batch_id}/results.json", _array(results)
        yield "audit-log.json", _array(self._audit_entries())
        yield "read-by-staff.json", _array(self._reads_by_staff())

    async def _ask(self, service: str, path: str, **query: str | int) -> Members | None:
        """Return the members of the answer; None for 404."""
        target = f"{path}?{urlencode(query)}" if query else path
        client, token = self._sources.clients[service], self._sources.sisters.internal_token
        # The ledger shows what is held of his deleted accounts to nobody else; the others know no such difference.
        answer = await ask_for_whole(client, self._request, target, token if service == "ledger" else "")
        if answer.status_code == _ABSENT:
            return None
        if answer.status_code != _OK:
            raise _away()
        return _decode_members(answer.content)

    async def _one(self, service: str, path: str) -> Texts:
        yield _encode(await self._ask(service, path))

    async def _listed(self, service: str, path: str, member: str, *, more: str = "next", by: str = "cursor") -> Texts:
        """Yield each item of a list, page after page; `more` is the member that says where to go on, sent as `by`."""
        place: dict[str, str] = {}
        while True:
            page = await self._ask(service, path, limit=_PAGE, **place) or {}
            for item in _decode_items(page.get(member, b"[]")):
                yield bytes(item)
            after = _decode_text(page.get(more, b"null"))
            if after is None:
                return
            place = {by: after}

    async def _accounts(self) -> Texts:
        listed = self._listed("accounts", "/api/v1/accounts", "accounts", more="next_after", by="after")
        async for item in listed:
            self._account_ids.append(msgspec.json.decode(item, type=_Named).account_id)
            yield item
        async for account_id, item in self._sources.sisters.deleted_accounts(self._principal.user_id):
            self._account_ids.append(account_id)
            yield item

    async def _service_accounts(self) -> Texts:
        listed = self._listed("accounts", "/api/v1/admin/service-accounts", "service_accounts")
        async for item in listed:
            if msgspec.json.decode(item)["created_by"] == self._principal.user_id:
                yield item

    async def _statement(self, account_id: str) -> Texts:
        """Yield the whole statement as one, its entries one by one; null for an account not opened yet."""
        path = f"/api/v1/accounts/{account_id}/statement"
        page = await self._ask("ledger", path, limit=_ENTRIES)
        if page is None:
            yield b"null"
            return
        head = {name: value for name, value in page.items() if name not in {"entries", "next", "prev"}}
        yield _encode(head)[:-1] + b',"entries":'
        async for text in _array(self._entries(path, page)):
            yield text
        yield b"}"

    async def _entries(self, path: str, page: Members | None) -> Texts:
        while page is not None:
            for item in _decode_items(page["entries"]):
                yield bytes(item)
            after = _decode_text(page["next"])
            page = None if after is None else await self._ask("ledger", path, limit=_ENTRIES, cursor=after)

    async def _transfers(self, account_id: str, **filters: str) -> Texts:
        """Yield the transfers of an account with their memos, newest first."""
        asked: dict[str, str | int] = {"account_id": account_id, "limit": _TRANSFERS, **filters}
        while True:
            members = await self._ask("ledger", "/api/v1/transfers", **asked)
            if members is None:
                return  # not opened yet
            page = await with_memos(self._sources.reading, _decode_page(_encode(members)))
            for transfer in page.transfers:
                yield _encode(transfer)
            if page.next is None:
                return
            asked["cursor"] = page.next

    async def _deliveries(self, webhook_id: str) -> Texts:
        before, user_id = _POSITION_MAX, self._principal.user_id
        while page := await self._sources.deliveries.log(user_id, webhook_id, before=before, status=None, limit=_PAGE):
            for delivery in page:
                yield DeliveryShown.of(delivery).model_dump_json().encode()
            before = page[-1].position

    async def _batches(self) -> Texts:
        before: int | None = ID_MAX
        while before is not None:
            page, before = await self._sources.batches.of(self._principal.user_id, before=before, limit=_PAGE)
            for one in page:
                yield progress_shown(one).model_dump_json().encode()

    async def _batch_results(self) -> AsyncIterator[tuple[str, Texts]]:
        before: int | None = ID_MAX
        while before is not None:
            page, before = await self._sources.batches.of(self._principal.user_id, before=before, limit=_PAGE)
            for one in page:
                lines = self._sources.batches.results(one.batch)
                yield one.batch.batch_id, (_encode(line._asdict()) async for some in lines for line in some)

    async def _audit_entries(self) -> Texts:
        """Yield what he did, and what others did about him.

        Of others it is left out who they are and from where they came, and what they only read, which is a part of its
        own.
        """
        async for entry in self._audited(AuditQuery(user_id=self._principal.user_id)):
            if entry.actor_id == self._principal.user_id:
                yield _encode(entry)
            elif not _is_read(entry):
                yield _encode(_without_actor(entry))

    async def _reads_by_staff(self) -> Texts:
        """Yield when staff read about him or his accounts, and by which roles.

        What compliance read is left out, because that somebody suspects him must not be told (Directive (EU) 2015/849,
        article 39); so is what was read before entries named roles.
        """
        about = [("customer", self._principal.user_id), *(("account", one) for one in self._account_ids)]
        for kind, one in about:
            async for entry in self._audited(AuditQuery(resource_type=kind, resource_id=one, outcome="done")):
                roles: list[str] = msgspec.json.decode(entry.facts).get("roles", [])
                is_his = entry.actor_id == self._principal.user_id
                if _is_read(entry) and roles and not is_his and _SUSPECTS not in roles:
                    yield _encode(_read_of(entry, roles))

    async def _audited(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        place: Cursor | None = None
        while True:
            page = await self._sources.audit.page(query, place, limit=_ENTRIES)
            for entry in page.entries:
                yield entry
            if page.older_than is None:
                return
            place = Cursor("next", page.older_than)


def _is_read(entry: AuditEntry) -> bool:
    return entry.action.rpartition(".")[2].startswith(_READS)


def _read_of(entry: AuditEntry, roles: list[str]) -> dict[str, Any]:
    shown = ("at", "action", "resource_type", "resource_id")
    return {name: getattr(entry, name) for name in shown} | {"roles": roles}


def _without_actor(entry: AuditEntry) -> dict[str, Any]:
    shown = ("entry_id", "at", "service", "action", "resource_type", "resource_id", "outcome", "reason")
    return {name: getattr(entry, name) for name in shown}


async def _array(items: Texts) -> Texts:
    """Yield a JSON array, an item a line."""
    before = b"[\n"
    async for item in items:
        yield before + item
        before = b",\n"
    yield b"[]" if before == b"[\n" else b"\n]"


async def _each(items: list[bytes]) -> Texts:
    for item in items:
        yield item


def _away() -> Unavailable:
    return Unavailable("service_unavailable", "A service behind this route does not answer; try again.")
