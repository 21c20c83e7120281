"""Compares what clients were told with what is stored, once everything has come to rest."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import asyncpg

from libs.common.ids import system_account_id
from tests.support.load import DEPOSIT, FINAL, Move

_QUIET_POLL_SECONDS = 0.3
_SHOWN_MAX = 30

_UNSETTLED = """
SELECT t.transfer_id::text || ' ' || t.scope || ' ' || t.idempotency_key || ' gateway: '
    || coalesce(o.status, 'nothing') || ', ledger: ' || coalesce(l.status, 'nothing')
FROM gateway.transfers t LEFT JOIN gateway.outcomes o USING (transfer_id) LEFT JOIN ledger.transfers l
    USING (transfer_id)
WHERE o.status IS NULL OR o.status NOT IN ('posted', 'refused', 'blocked', 'voided')
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
SELECT t.principal_id::text, t.scope, t.idempotency_key, t.transfer_id::text, l.status, l.code
FROM gateway.transfers t LEFT JOIN ledger.transfers l USING (transfer_id)
"""
_ENTRIES = "SELECT transfer_id::text, account_id::text, amount_minor FROM ledger.entries"
_BALANCES = "SELECT account_id::text, posted_minor FROM ledger.accounts WHERE posted_minor <> 0"


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


async def check_answers(dsn: str, moves: Sequence[Move]) -> None:
    """Check that what clients were told is what happened, and that nothing else did.

    Raises: AssertionError with the keys.
    """
    connection = await asyncpg.connect(dsn)
    try:
        stored = await connection.fetch(_STORED)
        entries = await connection.fetch(_ENTRIES)
        balances = {row[0]: row[1] for row in await connection.fetch(_BALANCES)}
        parked = [row[0] for row in await connection.fetch(_PARKED)]
    finally:
        await connection.close()
    wrong = [f"parked, {text}" for text in parked]
    by_key = {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in stored}
    wrong += _unknown(by_key, moves)
    moved: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for transfer_id, account_id, amount_minor in entries:
        moved[transfer_id].append((account_id, amount_minor))
    for move in moves:
        wrong += [f"{move}: {what}" for what in _what_is_wrong(move, by_key, moved)]
    wrong += _torn_apart(moves, by_key)
    wrong += _wrong_balances(moves, by_key, balances)
    if wrong:
        raise AssertionError(_listed(wrong))


_Stored = dict[tuple[str, str, str], tuple[str, str, str]]
"""(principal, scope, key) → (transfer id, ledger's status, ledger's code)"""


def _unknown(by_key: _Stored, moves: Iterable[Move]) -> list[str]:
    asked = {_key_of(move) for move in moves}
    return [f"{key} was stored, and nobody sent it" for key in by_key if key not in asked]


def _what_is_wrong(move: Move, by_key: _Stored, moved: dict[str, list[tuple[str, int]]]) -> list[str]:
    stored = by_key.get(_key_of(move))
    if stored is None:
        return ["answered, and not stored"] if move.answers else []
    transfer_id, status, code = stored
    wrong = [
        f"named {answer.transfer_id}, is {transfer_id}" for answer in move.answers if answer.transfer_id != transfer_id
    ]
    told = {(answer.http_status, answer.status, answer.code) for answer in move.answers if answer.status in FINAL}
    expected_http = {"posted": 201, "refused": 422, "blocked": 403, "voided": 403}.get(status, 0)
    wrong += [f"told {each}, is {status} {code}" for each in told if each != (expected_http, status, code)]
    if status not in FINAL:
        wrong.append(f"is {status}")
    effect = sorted(_effect_of(move)) if status == "posted" else []
    if sorted(moved.get(transfer_id, [])) != effect:
        wrong.append(f"is {status} and moved {moved.get(transfer_id, [])}")
    return wrong


def _torn_apart(moves: Iterable[Move], by_key: _Stored) -> list[str]:
    statuses: dict[str, set[bool]] = defaultdict(set)
    for move in moves:
        if move.together and (stored := by_key.get(_key_of(move))) is not None:
            statuses[move.together].add(stored[1] == "posted")
    return [f"the atomic batch of {key} was posted in part" for key, posted in statuses.items() if len(posted) > 1]


def _wrong_balances(moves: Iterable[Move], by_key: _Stored, balances: dict[str, int]) -> list[str]:
    expected: dict[str, int] = defaultdict(int)
    for move in moves:
        if by_key.get(_key_of(move), ("", "", ""))[1] == "posted":
            for account_id, amount_minor in _effect_of(move):
                expected[account_id] += amount_minor
    return [
        f"account {account_id} has {balances.get(account_id, 0)}, its transfers make {expected.get(account_id, 0)}"
        for account_id in {*expected, *balances}
        if balances.get(account_id, 0) != expected.get(account_id, 0)
    ]


def _effect_of(move: Move) -> list[tuple[str, int]]:
    source = system_account_id("USD", "SYS-RESERVE-0001") if move.scope == DEPOSIT else move.source_account_id
    return [(source, -move.amount_minor), (move.destination_account_id, move.amount_minor)]


def _key_of(move: Move) -> tuple[str, str, str]:
    return move.principal_id, move.scope, move.key


def _listed(lines: Sequence[str]) -> str:
    return f"{len(lines)} of them:\n" + "\n".join(lines[:_SHOWN_MAX])
