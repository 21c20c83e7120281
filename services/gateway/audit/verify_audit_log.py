"""Recompute the audit log's leaves and seals from its entries, and compare the entries with the services' own logs."""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from libs.common.audit.entry import COLUMNS, from_row
from libs.common.audit.leaf import leaf_of
from libs.common.contracts.audit import AuditEntry
from libs.common.contracts.topics import SERVICES
from libs.common.ids import first_id_at
from libs.common.proof.canonical_json import NotCanonical
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.frontier import EMPTY_FRONTIER, Frontier
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_log_note
from services.gateway.audit.findings import AuditDifference, AuditVerification
from services.gateway.store.money_callers import Lump

_PAGE: Final = 1000
_COLLECTED_WITHIN: Final = timedelta(minutes=15)
"""Every entry is said twice within two minutes; a collector that was away for longer is another alert's matter."""

_ENTRY: Final = ", ".join(f"e.{name}" for name in COLUMNS)
_LEAVES: Final = f"""
SELECT l.leaf_index, l.entry_id::text, l.leaf_hash, {_ENTRY}, e.service
FROM gateway.audit_leaves l LEFT JOIN gateway.audit_entries e USING (entry_id) ORDER BY l.leaf_index
"""  # noqa: S608 -- the columns stand in the contract
_SEALS: Final = "SELECT size, peaks, note FROM gateway.audit_seals ORDER BY size"
_SOURCE: Final = f"SELECT {', '.join(COLUMNS)} FROM {{schema}}.audit_log WHERE entry_id = $1"  # noqa: S608 -- as above
_COLLECTED: Final = f"SELECT {', '.join(COLUMNS)} FROM gateway.audit_entries WHERE entry_id = $1"  # noqa: S608 -- as above
_APART: Final = f"""
SELECT coalesce(s.entry_id, e.entry_id)::text, s.entry_id IS NULL, e.entry_id IS NULL
FROM {{schema}}.audit_log s
FULL JOIN (SELECT * FROM gateway.audit_entries WHERE service = $1) e ON e.entry_id = s.entry_id
WHERE ({", ".join(f"s.{name}" for name in COLUMNS)}) IS DISTINCT FROM ({_ENTRY})
    AND (e.entry_id IS NOT NULL OR s.entry_id < $2) ORDER BY 1 LIMIT 100
"""  # noqa: S608 -- as above
_CALLERS: Final = """
SELECT coalesce(c.lump_id::text, e.resource_id), e.facts, c.first_id::text, c.last_id::text, c.said
FROM gateway.money_callers c
FULL JOIN (SELECT * FROM gateway.audit_log WHERE resource_type = 'money_callers') e ON e.resource_id = c.lump_id::text
"""
_UNSEALED: Final = """
SELECT e.entry_id::text FROM gateway.audit_entries e LEFT JOIN gateway.audit_leaves l USING (entry_id)
LEFT JOIN gateway.audit_unsealed u USING (entry_id) WHERE l.entry_id IS NULL AND u.entry_id IS NULL LIMIT 100
"""
_WAITING: Final = "SELECT count(*) FROM gateway.audit_unsealed"


async def verify_audit_log(
    connection: asyncpg.Connection, trusted: Sequence[Vkey], *, now: datetime, witness: str = ""
) -> AuditVerification:
    """Check everything, in one snapshot. `witness` is the newest seal known from outside the database, if any.

    The connection is an administrator's: services whose schema is not in this database are left out. `now` decides
    which entries should have been collected by then.
    """
    found = AuditVerification()
    # tidy: allow commit-outside-unit-of-work: it only reads, all of it in one snapshot
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        altered = await _check_tree(connection, trusted, witness, found)
        for service in SERVICES:
            if await connection.fetchval("SELECT to_regclass($1)", f"{service}.audit_log"):
                await _compare_source(connection, service, altered, found, now)
        await _check_callers(connection, found)
        for row in await connection.fetch(_UNSEALED):
            found.find("leaf_missing", "audit_leaves", row[0], "the entry is neither sealed nor waiting for its seal")
        found.waiting = await connection.fetchval(_WAITING)
    return found


async def _check_tree(
    connection: asyncpg.Connection, trusted: Sequence[Vkey], witness: str, found: AuditVerification
) -> set[str]:
    """Check leaves against entries and seals against leaves; return the entries that are not what was sealed."""
    altered: set[str] = set()
    tree, is_whole = EMPTY_FRONTIER, True
    seals = _stream(connection, _SEALS)
    seal = await anext(seals, None)
    async for row in _stream(connection, _LEAVES):
        index, entry_id, leaf = row[0], row[1], row[2]
        if index != tree.size and is_whole:
            found.find("leaf_missing", "audit_leaves", str(tree.size), f"after it comes leaf {index}")
            is_whole = False
        if row[3] is None:
            found.find("entry_missing", "audit_entries", entry_id, f"leaf {index} was made of it")
        elif not _is_leaf_of(from_row(row[-1], row[3:-1]), leaf):
            altered.add(entry_id)
            await _name_difference(connection, from_row(row[-1], row[3:-1]), index, found)
        tree = tree.extended([leaf])
        if seal is not None and seal[0] == tree.size:
            if is_whole:
                is_whole = _check_seal(seal, tree, trusted, found)
            found.seals += 1
            seal = await anext(seals, None)
    if seal is not None:
        found.find("tail_cut", "audit_leaves", str(tree.size), f"seal {seal[0]} is over more leaves than there are")
        await seals.aclose()
    found.size = tree.size
    newest: int = await connection.fetchval("SELECT coalesce(max(size), 0) FROM gateway.audit_seals")
    if newest < tree.size:
        found.find("tail_cut", "audit_seals", str(tree.size), f"the newest seal is over {newest} leaves")
    _hear_witness(witness, trusted, tree, newest, found)
    return altered


def _check_seal(seal: Any, tree: Frontier, trusted: Sequence[Vkey], found: AuditVerification) -> bool:
    """Return whether the seal is over these leaves; after one that is not, every later one differs, too."""
    size, peaks, note = seal
    try:
        signed = Checkpoint.parse(open_log_note(note, trusted))
    except (NoteUnverified, CheckpointMalformed) as failure:
        found.find("seal_forged", "audit_seals", str(size), str(failure))
        return False
    differing = [
        AuditDifference(name, stored, expected)
        for name, stored, expected in (
            ("size", str(signed.size), str(tree.size)),
            ("root", signed.root.hex(), tree.root.hex()),
            ("peaks", peaks.hex(), tree.stored.hex()),
        )
        if stored != expected
    ]
    if differing:
        found.find("seal_broken", "audit_seals", str(size), "the leaves are not what was signed", tuple(differing))
    return not differing


def _hear_witness(witness: str, trusted: Sequence[Vkey], tree: Frontier, newest: int, found: AuditVerification) -> None:
    if not witness:
        return
    try:
        seen = Checkpoint.parse(open_log_note(witness, trusted))
    except (NoteUnverified, CheckpointMalformed) as failure:
        found.find("seal_forged", "file", "audit.checkpoint", f"the seal kept outside the database: {failure}")
        return
    if seen.size > newest:
        detail = f"the seal kept outside the database is over {seen.size} leaves, the newest inside over {newest}"
        found.find("tail_cut", "audit_seals", str(newest), detail)
    elif seen.size == tree.size and seen.root != tree.root:
        found.find("seal_broken", "audit_seals", str(newest), "the seal kept outside the database has another root")


def _is_leaf_of(entry: AuditEntry, leaf: bytes) -> bool:
    try:
        return leaf_of(entry) == leaf
    except NotCanonical:
        return False


async def _name_difference(
    connection: asyncpg.Connection, entry: AuditEntry, index: int, found: AuditVerification
) -> None:
    """Say which field differs, as far as the service's own log tells it."""
    source = await _source_of(connection, entry)
    if source == entry:
        found.find("leaf_altered", "audit_leaves", str(index), f"it is not the hash of entry {entry.entry_id}")
        return
    detail = f"it is not what leaf {index} was made of"
    if source is not None and source.entry_id == entry.entry_id:
        found.find("entry_altered", "audit_entries", entry.entry_id, detail, _differences(entry, source))
    else:
        found.find("entry_altered", "audit_entries", entry.entry_id, f"{detail}; its service has no such entry")


async def _source_of(connection: asyncpg.Connection, entry: AuditEntry) -> AuditEntry | None:
    for service in (entry.service, *SERVICES):
        if service in SERVICES and await connection.fetchval("SELECT to_regclass($1)", f"{service}.audit_log"):
            row = await connection.fetchrow(_SOURCE.format(schema=service), entry.entry_id)
            if row is not None:
                return from_row(service, row)
    return None


async def _check_callers(connection: asyncpg.Connection, found: AuditVerification) -> None:
    """Check from where money was asked for against the digests that were sealed."""
    async for row in _stream(connection, _CALLERS):
        lump_id, facts, first_id, last_id, said = row
        if facts is None:
            found.find("callers_altered", "money_callers", lump_id, "no audit entry has its digest")
        elif last_id is None:
            found.find("callers_altered", "money_callers", lump_id, "its audit entry is there, the row is not")
        elif Lump(lump_id, first_id, last_id, 0, said).digest() != json.loads(facts).get("sha256"):
            found.find("callers_altered", "money_callers", lump_id, "the row is not what was sealed")


async def _compare_source(
    connection: asyncpg.Connection, service: str, altered: set[str], found: AuditVerification, now: datetime
) -> None:
    """Compare a service's own log with what was collected of it; what the seals condemn already is not said again."""
    table = f"{service}.audit_log"
    upto = first_id_at(now - _COLLECTED_WITHIN)
    for entry_id, lacks_source, lacks_entry in await connection.fetch(_APART.format(schema=service), service, upto):
        if entry_id in altered:
            continue
        if lacks_source:
            found.find("source_missing", table, entry_id, "it was collected from there")
        elif lacks_entry:
            found.find("entry_not_collected", "audit_entries", entry_id, f"it stands in {table}")
        else:
            source = await connection.fetchrow(_SOURCE.format(schema=service), entry_id)
            entry = await connection.fetchrow(_COLLECTED, entry_id)
            differing = _differences(from_row(service, source), from_row(service, entry))
            found.find("source_altered", table, entry_id, "it was collected and sealed otherwise", differing)


def _differences(stored: AuditEntry, expected: AuditEntry) -> tuple[AuditDifference, ...]:
    one, other = msgspec.structs.asdict(stored), msgspec.structs.asdict(expected)
    return tuple(AuditDifference(name, str(one[name]), str(other[name])) for name in one if one[name] != other[name])


async def _stream(connection: asyncpg.Connection, statement: str) -> AsyncGenerator[Any]:
    async for row in connection.cursor(statement, prefetch=_PAGE):
        yield row
