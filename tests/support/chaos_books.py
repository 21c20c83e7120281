"""Compares what clients were told with what is stored, once everything has come to rest."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import asyncpg

from tests.support.chaos_commands import Decided, Entry, Life, Stored, live
from tests.support.load_requests import Asked, Command, Move

_QUIET_POLL_SECONDS = 0.3
_SHOWN_MAX = 30

# At rest everything is decided, the gateway knows the newest state of it, and no hold is near its end. A caller's hold
# may be open then; its request was answered long ago.
_UNSETTLED = """
SELECT t.transfer_id::text || ' ' || t.scope || ' ' || t.idempotency_key || ' gateway: '
    || coalesce(o.status, 'nothing') || ', ledger: ' || coalesce(l.status || ' ' || l.version, 'nothing')
FROM gateway.transfers t
LEFT JOIN gateway.outcomes o USING (transfer_id)
LEFT JOIN ledger.transfers l USING (transfer_id)
LEFT JOIN ledger.settlements s USING (transfer_id)
LEFT JOIN LATERAL (
    SELECT max(version) AS version FROM gateway.later_states s WHERE s.transfer_id = t.transfer_id) later ON true
WHERE o.status IS NULL OR l.status IS NULL OR l.version > greatest(o.version, later.version)
    OR (l.status = 'held' AND (s.resolver <> 'caller' OR s.expires_at < now() + interval '10 minutes'))
UNION ALL
SELECT c.command_id::text || ' ' || c.scope || ' ' || c.idempotency_key || ' of ' || c.subject_id || ': '
    || coalesce(o.status, 'nothing')
FROM gateway.commands c LEFT JOIN gateway.outcomes o ON o.transfer_id = c.command_id
WHERE o.status IS NULL OR o.status NOT IN ('done', 'posted', 'refused')
"""
_UNTOLD = """
SELECT 'ledger.heads: ' || published_size || ' of ' || size || ' published'
FROM ledger.heads WHERE published_size < size
UNION ALL SELECT 'ledger.outbox ' || row_id FROM ledger.outbox
UNION ALL SELECT 'fraud.outbox ' || row_id FROM fraud.outbox
UNION ALL SELECT 'accounts.outbox ' || row_id FROM accounts.outbox
UNION ALL SELECT 'kyc.outbox ' || row_id FROM kyc.outbox
UNION ALL SELECT 'gateway.outbox ' || row_id FROM gateway.outbox
"""
_PARKED = """
SELECT 'ledger: ' || cause_code || ' ' || cause FROM ledger.dead_letters
UNION ALL SELECT 'fraud: ' || cause_code || ' ' || cause FROM fraud.dead_letters
UNION ALL SELECT 'accounts: ' || cause_code || ' ' || cause FROM accounts.dead_letters
UNION ALL SELECT 'kyc: ' || cause_code || ' ' || cause FROM kyc.dead_letters
UNION ALL SELECT 'gateway: ' || cause_code || ' ' || cause FROM gateway.dead_letters
"""
_STORED = """
SELECT t.principal_id::text, t.scope, t.idempotency_key, t.transfer_id::text, l.status, l.code,
    j.first_index, j.posted_index, s.expires_at, s.captured_minor[1], s.reversed_minor[1]
FROM gateway.transfers t
LEFT JOIN ledger.transfers l USING (transfer_id)
LEFT JOIN ledger.settlements s USING (transfer_id)
LEFT JOIN (
    SELECT transfer_id, min(journal_index) AS first_index,
        min(journal_index) FILTER (WHERE kind = 'transfer.posted') AS posted_index
    FROM ledger.journal WHERE kind LIKE 'transfer.%' GROUP BY transfer_id) j USING (transfer_id)
"""
_DECIDED = """
SELECT c.principal_id::text, c.scope, c.idempotency_key, c.command_id::text, c.subject_id::text,
    coalesce(d.code, r.code), coalesce(d.journal_index, r.journal_index), coalesce(d.decided_at, r.changed_at)
FROM gateway.commands c LEFT JOIN ledger.commands d USING (command_id)
LEFT JOIN ledger.transfers r ON r.transfer_id = c.command_id
"""
_UNASKED = """
SELECT 'command ' || d.command_id || ' of ' || d.subject_id FROM ledger.commands d
LEFT JOIN gateway.commands c USING (command_id) WHERE c.command_id IS NULL
UNION ALL SELECT 'reversal ' || r.reversal_id || ' of ' || r.transfer_id FROM ledger.reversals r
LEFT JOIN gateway.commands c ON c.command_id = r.reversal_id WHERE c.command_id IS NULL
"""
_ENTRIES = "SELECT transfer_id::text, journal_index, account_id::text, amount_minor FROM ledger.entries"
_BALANCES = """
SELECT account_id::text, posted_minor, pending_out_minor, pending_in_minor FROM ledger.accounts
WHERE (posted_minor, pending_out_minor, pending_in_minor) IS DISTINCT FROM (0, 0, 0)
"""


async def wait_until_quiet(dsn: str, *, seconds: float) -> tuple[float, str]:
    """Wait until every transfer is final and everything is told; return how long it took and what was last.

    Raises: AssertionError naming what is still under way after `seconds`.
    """
    began, last = time.monotonic(), "nothing was open"
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            open_ends = [row[0] for row in await connection.fetch(_UNSETTLED)]
            open_ends += [row[0] for row in await connection.fetch(_UNTOLD)]
            if not open_ends:
                return time.monotonic() - began, last
            last = f"{len(open_ends)} at last, such as {open_ends[0]}"
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not at rest after {seconds:.0f} s, {_listed(open_ends)}")
            await asyncio.sleep(_QUIET_POLL_SECONDS)
    finally:
        await connection.close()


async def check_answers(dsn: str, moves: Sequence[Move], commands: Sequence[Command]) -> None:
    """Check that what clients were told is what happened, that it happened once, and that nothing else did.

    Raises: AssertionError with the keys.
    """
    connection = await asyncpg.connect(dsn)
    try:
        now = await connection.fetchval("SELECT now()")
        stored = {tuple(row[:3]): Stored(*row[3:]) for row in await connection.fetch(_STORED)}
        decided = {tuple(row[:3]): Decided(*row[3:]) for row in await connection.fetch(_DECIDED)}
        entries = await connection.fetch(_ENTRIES)
        balances = {row[0]: tuple(row[1:]) for row in await connection.fetch(_BALANCES)}
        wrong = [f"parked, {row[0]}" for row in await connection.fetch(_PARKED)]
        wrong += [f"nobody asked for {row[0]}" for row in await connection.fetch(_UNASKED)]
    finally:
        await connection.close()
    everything: list[Asked] = [*moves, *commands]
    asked = {_key_of(each) for each in everything}
    wrong += [f"{key} was stored, and nobody sent it" for key in (*stored, *decided) if key not in asked]
    wrong += [
        f"{each}: answered, and not stored"
        for each in everything
        if each.answers and _key_of(each) not in (stored if isinstance(each, Move) else decided)
    ]
    of_transfer: dict[str, list[tuple[Command, Decided]]] = defaultdict(list)
    for command in commands:
        if _key_of(command) in decided:
            of_transfer[command.transfer_id].append((command, decided[_key_of(command)]))
    found = [(move, stored[_key_of(move)]) for move in moves if _key_of(move) in stored]
    lives = [live(move, row, of_transfer[row.transfer_id], now) for move, row in found]
    wrong += [f"{life.move}: {what}" for life in lives for what in life.wrong]
    wrong += _torn_apart(lives) + _wrong_entries(lives, entries) + _wrong_balances(lives, balances)
    if wrong:
        raise AssertionError(_listed(wrong))


def _torn_apart(lives: Iterable[Life]) -> list[str]:
    statuses: dict[str, set[bool]] = defaultdict(set)
    for life in lives:
        if life.move.together:
            statuses[life.move.together].add(life.stored.status == "posted")
    return [f"the atomic batch of {key} was posted in part" for key, posted in statuses.items() if len(posted) > 1]


def _wrong_entries(lives: Iterable[Life], entries: Iterable[asyncpg.Record]) -> list[str]:
    """Return which transfers and reversals have other entries than one of each command, at its own record."""
    expected = {transfer_id: sorted(made) for life in lives for transfer_id, made in life.entries.items()}
    made: dict[str, list[Entry]] = defaultdict(list)
    for transfer_id, index, account_id, amount_minor in entries:
        made[transfer_id].append((index, account_id, amount_minor))
    return [
        f"{transfer_id} made the entries {made[transfer_id]}, not {expected.get(transfer_id, [])}"
        for transfer_id in {*made, *expected}
        if sorted(made[transfer_id]) != expected.get(transfer_id, [])
    ]


def _wrong_balances(lives: Iterable[Life], balances: dict[str, tuple[int, ...]]) -> list[str]:
    """Compare (posted, pending out, pending in) with what the transfers make, and what is still held."""
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for life in lives:
        for _, account_id, amount_minor in (entry for entries in life.entries.values() for entry in entries):
            expected[account_id][0] += amount_minor
        expected[life.move.source_account_id][1] += life.left_minor
        expected[life.move.destination_account_id][2] += life.left_minor
    nothing = (0, 0, 0)
    return [
        f"account {account_id} has {balances.get(account_id, nothing)}, its transfers make {expected[account_id]}"
        for account_id in {*expected, *balances}
        if balances.get(account_id, nothing) != tuple(expected[account_id])
    ]


def _key_of(asked: Asked) -> tuple[str, str, str]:
    return asked.principal_id, asked.scope, asked.key


def _listed(lines: Sequence[str]) -> str:
    return f"{len(lines)} of them:\n" + "\n".join(lines[:_SHOWN_MAX])
