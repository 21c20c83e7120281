"""The audit log as staff read it: what every service wrote, and each request for money as the gateway kept it."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from libs.common.audit.entry import COLUMNS, from_row
from libs.common.contracts.audit import AuditEntry
from libs.common.db.reading import Reading
from libs.common.http.cursors import Cursor
from libs.common.ids import first_id_at, is_id
from libs.common.proof.canonical_json import canonical
from services.gateway.store.money_callers import RECORDED_AS, CallerOf, find_callers

ID_MAX: Final = 2**128 - 1

# The address of a request for money is not kept with it; it is found by its lump, further down.
_OF_SERVICES: Final = f"""
SELECT {", ".join(COLUMNS)}, service FROM gateway.audit_entries
WHERE {{conditions}} entry_id BETWEEN $1 AND $2 ORDER BY entry_id {{order}} LIMIT $3
"""  # noqa: S608 -- the columns stand in the contract
_OF_MONEY: Final = """
SELECT t.transfer_id, t.accepted_at, t.principal_id::text, 'person', CASE t.scope WHEN 'deposits' THEN 'deposit.create'
    WHEN 'withdrawals' THEN 'withdrawal.create' ELSE 'transfer.create' END, 'transfer', t.transfer_id::text, '', '', '',
    CASE WHEN o.status IN ('refused', 'blocked') THEN 'refused' ELSE 'done' END, coalesce(o.code, ''),
    format('{{"status":"%s"}}', coalesce(o.status, 'accepted')), 'gateway'
FROM gateway.transfers t LEFT JOIN gateway.outcomes o USING (transfer_id)
WHERE {conditions} t.transfer_id BETWEEN $1 AND $2 ORDER BY t.transfer_id {order} LIMIT $3
"""
_SCOPES: Final = {
    "transfer.create": ["transfers", "batch"],
    "deposit.create": ["deposits"],
    "withdrawal.create": ["withdrawals"],
}
_REFUSED: Final = ["refused", "blocked"]


class AuditQuery(NamedTuple):
    """Which entries: all that is not None must be so. `user_id` is who acted, or whom it was about."""

    user_id: str | None = None
    service: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    outcome: str | None = None
    begins_at: datetime | None = None
    ends_before: datetime | None = None

    def conditions(self) -> dict[str, str]:
        """Return column → value of what must be equal, the user aside."""
        names = ("service", "action", "resource_type", "resource_id", "outcome")
        named = {f"{name} =": value for name in names if (value := getattr(self, name)) is not None}
        # What it proves is shown with each request for money.
        return named if self.action is not None else {**named, "action <>": RECORDED_AS}

    def money_conditions(self) -> dict[str, Any] | None:
        """Return the same about a request for money; None when there is none to be found."""
        ids = [one for one in (self.user_id, self.resource_id) if one is not None]
        if self.service not in {None, "gateway"} or self.resource_type not in {None, "transfer"}:
            return None
        if self.outcome == "failed" or self.action not in {None, *_SCOPES} or not all(map(is_id, ids)):
            return None
        named = {
            "t.principal_id =": self.user_id,
            "t.transfer_id =": self.resource_id,
            "t.scope = ANY": _SCOPES.get(self.action or ""),
            "o.status = ANY": _REFUSED if self.outcome == "refused" else None,
            "coalesce(o.status, '') <> ALL": _REFUSED if self.outcome == "done" else None,
        }
        return {name: value for name, value in named.items() if value is not None}


class AuditPage(NamedTuple):
    """Entries, newest first; older ones have ids below `older_than`, newer ones above `newer_than`."""

    entries: list[AuditEntry]
    older_than: int | None
    newer_than: int | None


class AuditEntriesView:
    """Reads the entries."""

    def __init__(self, reading: Reading) -> None:
        """Use this pool."""
        self._reading = reading

    async def page(self, asked: AuditQuery, start: Cursor | None, *, limit: int) -> AuditPage:
        """Return the newest entries, or those next to a cursor's id. Raises: Unavailable."""
        side, beyond = ("next", None) if start is None else start
        lowest, highest = _first_id(asked.begins_at, 0), _first_id(asked.ends_before, ID_MAX + 1) - 1
        if beyond is not None and side == "next":
            highest = min(highest, beyond - 1)
        elif beyond is not None:
            lowest = max(lowest, beyond + 1)
        found: list[AuditEntry] = []
        if lowest <= highest:
            async with self._reading.connection() as database:
                found = await _between(database, asked, lowest, highest, side=side, limit=limit + 1)
        is_cut = len(found) > limit
        entries = sorted(found[:limit], key=lambda entry: entry.entry_id, reverse=True)
        if not entries:
            return AuditPage([], None, None)
        oldest, newest = UUID(entries[-1].entry_id).int, UUID(entries[0].entry_id).int
        has_older = is_cut if side == "next" else True
        has_newer = is_cut if side == "prev" else beyond is not None
        return AuditPage(entries, oldest if has_older else None, newest if has_newer else None)


async def _between(
    database: asyncpg.Connection, asked: AuditQuery, lowest: int, highest: int, *, side: str, limit: int
) -> list[AuditEntry]:
    """Return up to `limit` entries from the side that is asked for on.

    Who acted and whom it was about stand in two indexes, so these are two questions.
    """
    order = "DESC" if side == "next" else "ASC"
    wanted: list[tuple[str, dict[str, Any]]] = [(_OF_SERVICES, asked.conditions())]
    if asked.user_id is not None:
        wanted = [(_OF_SERVICES, {**asked.conditions(), "actor_id =": asked.user_id})]
        if asked.resource_id in {None, asked.user_id}:
            wanted.append((_OF_SERVICES, {**asked.conditions(), "resource_id =": asked.user_id}))
    money = asked.money_conditions()
    if money is not None:
        wanted.append((_OF_MONEY, money))
    found: dict[str, AuditEntry] = {}
    for statement, named in wanted:
        conditions = " ".join(f"{name} (${number}) AND" for number, name in enumerate(named, start=4))
        rows = await database.fetch(
            statement.format(conditions=conditions, order=order),
            UUID(int=lowest),
            UUID(int=highest),
            limit,
            *named.values(),
        )
        for entry in (from_row(row[-1], row[:-1]) for row in rows):
            found[entry.entry_id] = entry
    page = sorted(found.values(), key=lambda entry: entry.entry_id, reverse=order == "DESC")[:limit]
    return await _with_callers(database, page)


async def _with_callers(database: asyncpg.Connection, entries: list[AuditEntry]) -> list[AuditEntry]:
    """Add to requests for money from where they came."""
    money = [entry.entry_id for entry in entries if entry.resource_id == entry.entry_id]
    callers = await find_callers(database, money) if money else {}
    return [_asked_by(entry, callers.get(entry.entry_id)) for entry in entries]


def _asked_by(entry: AuditEntry, caller: CallerOf | None) -> AuditEntry:
    if caller is None:
        return entry
    request_id, address, user_agent, key_id = caller
    shown = msgspec.structs.replace(entry, request_id=request_id, address=address, user_agent=user_agent)
    if not key_id:
        return shown
    facts = canonical({**msgspec.json.decode(shown.facts), "key_id": key_id}).decode("utf-8")
    return msgspec.structs.replace(shown, actor_kind="machine", facts=facts)


def _first_id(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else UUID(first_id_at(moment)).int
