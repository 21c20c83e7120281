"""Staff put somebody on a list, or take him off. The next decision knows."""

from dataclasses import replace

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, Forbidden, NotFound
from libs.common.http.idempotency import Once
from libs.common.ids import is_id, new_id
from libs.common.origins import UNKNOWN, OriginKeys
from services.fraud.domain.list_entries import LENIENT, STANDING_MAX, ListEntry, Wanted, check_entry
from services.fraud.domain.lists import Subject
from services.fraud.store.activity import has_sent_from
from services.fraud.store.list_entries import count_standing, insert_entry, lock_entry, remove_entry


class ChangeLists:
    """Keeps and removes entries. Nobody is lenient with himself, or takes back what was ordered against him.

    Raises: Forbidden `own_list_entry`; Unavailable.
    """

    def __init__(self, uow: UnitOfWork, origins: OriginKeys, clock: Clock) -> None:
        """Take what it works with; `origins` tells what transfers show of an address or a device."""
        self._uow = uow
        self._origins = origins
        self._clock = clock

    async def add(self, once: Once[ListEntry], *, asker: Asker, wanted: Wanted) -> ListEntry:
        """Keep an entry.

        Idempotent by: the request's key. Locks: the key. Raises: AnsweredBefore; Unprocessable `list_entry_invalid`;
        Conflict `lists_full`.
        """
        now = self._clock()
        entry = ListEntry(
            entry_id=new_id(),
            list=wanted.name,
            subject=wanted.subject,
            value=wanted.value,
            other=wanted.other,
            rule_id=wanted.rule_id,
            reason=wanted.reason,
            added_by=asker.actor_id,
            added_at=now,
            expires_at=wanted.expires_at,
        )
        async with once.work(self._uow) as tx:
            check_entry(wanted, now)
            _refuse_own(asker, wanted.value, wanted.other)
            connection = await tx.driver()
            if wanted.name in LENIENT:
                await self._refuse_own_origin(connection, asker, wanted.subject, wanted.value)
            if await count_standing(connection, now) >= STANDING_MAX:
                raise Conflict("lists_full", f"{STANDING_MAX} entries stand already; remove some.")
            await insert_entry(connection, entry)
            facts = {"list": entry.list, "subject": entry.subject}
            await record(tx, asker, "list_entry.change", at=now, resource=("list_entry", entry.entry_id), facts=facts)
            tx.made(entry)
        return entry

    async def remove(self, *, asker: Asker, entry_id: str, reason: str) -> ListEntry:
        """Remove an entry. Locks: the entry. Raises: NotFound `list_entry_not_found`; Conflict `list_entry_removed`."""
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            before = await lock_entry(connection, entry_id) if is_id(entry_id) else None
            if before is None:
                raise NotFound("list_entry_not_found", "There is no such entry.")
            _refuse_own(asker, before.value, before.other)
            if before.list not in LENIENT:
                await self._refuse_own_origin(connection, asker, before.subject, before.value)
            if before.removed_at is not None:
                raise Conflict("list_entry_removed", "It was removed before.")
            now = self._clock()
            await remove_entry(connection, entry_id, asker.actor_id, now, reason)
            facts = {"list": before.list, "removed": "true"}
            await record(tx, asker, "list_entry.change", at=now, resource=("list_entry", entry_id), facts=facts)
        return replace(before, removed_by=asker.actor_id, removed_at=now, removed_because=reason)

    async def _refuse_own_origin(
        self, connection: asyncpg.Connection, asker: Asker, subject: Subject, value: str
    ) -> None:
        """Refuse leniency with an address or device that the asker sent from himself, as far back as is known."""
        if subject not in ("address", "device"):
            return
        address_key = self._origins.address(value) if subject == "address" else UNKNOWN
        device_key = self._origins.device(value) if subject == "device" else UNKNOWN
        if await has_sent_from(connection, asker.actor_id, address_key=address_key, device_key=device_key):
            raise Forbidden("own_list_entry", "You have sent from there yourself; ask a colleague.")


def _refuse_own(asker: Asker, *values: str) -> None:
    if asker.actor_id in values:
        raise Forbidden("own_list_entry", "Nobody decides about himself; ask a colleague.")
