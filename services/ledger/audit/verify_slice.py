"""A slice of the old records and a few accounts: another one each minute, so that all are looked at again in turn."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from libs.common.proof.signed_note import Vkey
from libs.common.proof.tree_head import load_tree_head
from services.ledger.audit.check_books import CheckBooks
from services.ledger.audit.check_proof import CheckProof
from services.ledger.audit.findings import Verification
from services.ledger.audit.replay_journal import ReplayJournal
from services.ledger.audit.verify_everything import silent
from services.ledger.audit.verify_parts import verify_account
from services.ledger.audit.verify_since import decode_time
from services.ledger.store.audit import PAGE, Audit

_ACCOUNTS: Final = 20
_ENTRIES_MAX: Final = 2_000
"""Accounts with more entries are left to the full check."""


async def verify_slice(audit: Audit, vkeys: Sequence[Vkey], shard: int, turn: int, found: Verification) -> None:
    """Check page number `turn` (modulo the pages there are) and the accounts that come after a point `turn` names."""
    pages = (found.size + PAGE - 1) // PAGE
    if not pages:
        return
    first = turn % pages * PAGE
    end = min(first + PAGE, found.size)
    proof = CheckProof(audit, vkeys, shard, found)
    if first:
        last = (await audit.records([first - 1]))[0]
        proof.start_from(await load_tree_head(first, audit.tiles), last["chain_hash"], decode_time(last["record"]))
    checked = await proof.check(await audit.page(first, end), first, end)
    books = CheckBooks(audit, ReplayJournal(), shard, found, everything=False)
    await books.check_states(checked)
    point = str(UUID(bytes=sha256(str(turn).encode()).digest()[:16]))
    for account_id in await audit.some_accounts(point, entries_max=_ENTRIES_MAX, limit=_ACCOUNTS):
        for finding in (await verify_account(audit, shard, account_id, silent)).findings:
            found.find(finding)
