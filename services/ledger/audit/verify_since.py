"""Only what is new since a verification that was signed: its signature, the tree and all balances vouch for the rest.

Nothing is kept of the books as they were. What the new records moved is taken off the balances as they are; what is
left must be the state whose digest was signed. So a balance that was changed since, on whatever account, is found.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Final

import msgspec

from libs.common.errors import InvariantBroken
from libs.common.proof.signed_note import Vkey
from libs.common.proof.tree_head import TreeHead, load_tree_head
from services.ledger.audit.check_accounts import check_head, check_last_entries
from services.ledger.audit.check_books import CheckBooks
from services.ledger.audit.check_proof import CheckedPage, CheckProof
from services.ledger.audit.check_rows import CheckRows
from services.ledger.audit.findings import (
    BALANCES,
    FINDINGS_MAX,
    REWRITTEN,
    Finding,
    Verification,
    altered_record,
    differences,
)
from services.ledger.audit.replay_journal import CAPTURED, HELD, POSTED, VOIDED, Hold, ReplayJournal
from services.ledger.audit.signed_state import SignedState
from services.ledger.audit.verify_everything import Progress, say_contradictions
from services.ledger.store.audit import PAGE, Audit
from services.ledger.store.journal_record import JournalRecord, TransferRecord, decode_transfer_record

_OF_HOLDS: Final = frozenset({POSTED, CAPTURED, VOIDED, HELD})


async def verify_since(
    audit: Audit, vkeys: Sequence[Vkey], shard: int, state: SignedState, progress: Progress
) -> Verification:
    """Check the records after `state`, what they made, and that nothing it vouches for has changed in the balances."""
    found = Verification(scope="incremental", first=state.size)
    found.size = await audit.end()
    proof = CheckProof(audit, vkeys, shard, found)
    if found.size < state.size or not await _joins(audit, proof, state, shard, found):
        await check_head(audit, found, shard=shard, chain_hash=proof.chain_hash, time=proof.time)
        return found
    pages = await _check_new(audit, proof, state.size, found, progress)
    if pages is None:
        return found
    moved = ReplayJournal()
    for page in pages:
        await prime_holds(audit, moved, page.records)
        moved.follow(page.records)
    before = await _state_before(audit, moved)
    if await audit.state_digest(before) != state.state_digest:
        found.find(
            Finding(
                "balance_altered",
                "accounts",
                f"all at {state.size}",
                "balances were changed that were verified before; a full verification names them",
                BALANCES,
            )
        )
    else:
        await _check_books(audit, shard, pages, before, found)
    await check_last_entries(audit, found, limit=FINDINGS_MAX)
    found.root, found.chain_hash = proof.tree.root.hex(), proof.chain_hash.hex()
    await check_head(audit, found, shard=shard, chain_hash=proof.chain_hash, time=proof.time)
    found.state_digest = await audit.state_digest({})
    return found


async def prime_holds(audit: Audit, replay: ReplayJournal, records: Iterable[JournalRecord]) -> None:
    """Tell the replay what the holds reserve that began before the first record it is shown."""
    begun: set[str] = set(replay.holds)
    unknown: dict[str, TransferRecord] = {}
    for record in records:
        if not isinstance(record, TransferRecord) or record.kind not in _OF_HOLDS:
            continue
        if record.version > 1 and record.transfer_id not in begun and record.transfer_id not in unknown:
            unknown[record.transfer_id] = record
        elif record.version == 1:
            begun.add(record.transfer_id)
    for row in await audit.legs_records(list(unknown)):
        then, first = unknown.get(row["transfer_id"]), legs_record(row["record"])
        if then is None or first is None:
            continue  # not the record it should be: the transfer's next one will contradict
        nothing = [0] * len(first.legs)
        moved = ([leg.amount_minor for leg in then.legs] if then.kind in {POSTED, CAPTURED} else []) or nothing
        so_far = then.captured_minor or nothing
        captured_minor = tuple(after - now for after, now in zip_longest(so_far, moved, fillvalue=0))
        replay.holds[first.transfer_id] = Hold(first.legs, captured_minor[: len(first.legs)])


def legs_record(text: bytes) -> TransferRecord | None:
    """Return the record that says what a settled transfer's legs are; None if it is none about a transfer."""
    try:
        return decode_transfer_record(text)
    except msgspec.MsgspecError:
        return None


async def _joins(audit: Audit, proof: CheckProof, state: SignedState, shard: int, found: Verification) -> bool:
    """Tell whether the stored tree and chain of that size are those that were signed; go on from there if they are."""
    try:
        tree = await load_tree_head(state.size, audit.tiles)
    except InvariantBroken:
        tree = TreeHead.empty()  # hashes are missing, so it is not the tree that was signed
    last = await audit.records([state.size - 1]) if state.size else []
    chain_hash = last[0]["chain_hash"] if last else bytes(32)
    time = decode_time(last[0]["record"]) if last else ""
    stored = {"root": tree.root.hex(), "chain_hash": chain_hash.hex()}
    computed = {"root": state.root, "chain_hash": state.chain_hash}
    if stored != computed:
        found.find(
            Finding(
                "chain_broken",
                "tree_tiles",
                f"{shard}/{state.size}",
                "the journal is not the one that was verified and signed before",
                REWRITTEN,
                state.size - 1,
                stored_hash=stored["root"],
                computed_hash=computed["root"],
                differences=differences(stored, computed),
            )
        )
        return False
    proof.start_from(tree, chain_hash, time)
    return True


def decode_time(text: bytes) -> str:
    """Return the time of a record of any kind."""
    _, _, rest = text.rpartition(b'"time":"')
    return rest[:27].decode()


async def _check_new(
    audit: Audit, proof: CheckProof, first: int, found: Verification, progress: Progress
) -> list[CheckedPage] | None:
    pages, begin = [], first
    while begin < found.size:
        end = min((begin // PAGE + 1) * PAGE, found.size)
        page = await proof.check(await audit.page(begin, end), begin, end)
        if not page.is_whole:
            return None
        pages.append(page)
        progress(end - first, found.size - first)
        begin = end
    return pages


async def _state_before(audit: Audit, moved: ReplayJournal) -> dict[str, tuple[int, int, int, int]]:
    """Return the balances of the accounts concerned as they are, less what the records moved."""
    now = await audit.balances(list(moved.accounts))
    return {
        account_id: (
            posted_minor - moved.accounts[account_id].posted_minor,
            pending_in_minor - moved.accounts[account_id].pending_in_minor,
            pending_out_minor - moved.accounts[account_id].pending_out_minor,
            last_seq - moved.accounts[account_id].last_seq,
        )
        for account_id, (posted_minor, pending_in_minor, pending_out_minor, last_seq) in now.items()
    }


async def _check_books(
    audit: Audit,
    shard: int,
    pages: Sequence[CheckedPage],
    before: dict[str, tuple[int, int, int, int]],
    found: Verification,
) -> None:
    replay = ReplayJournal()
    for account_id, (posted_minor, pending_in_minor, pending_out_minor, last_seq) in before.items():
        account = replay.account(account_id)
        account.posted_minor, account.last_seq = posted_minor, last_seq
        account.pending_in_minor, account.pending_out_minor = pending_in_minor, pending_out_minor
    books = CheckBooks(audit, replay, shard, found, everything=False)
    for page in pages:
        await prime_holds(audit, replay, page.records)
        await books.check(page)
    await books.finish()
    await _check_legs(audit, shard, list(replay.settled), found)
    say_contradictions(replay, shard, found)
    await CheckRows(audit, replay, shard, found, everything=False).run()


async def _check_legs(audit: Audit, shard: int, transfer_ids: Sequence[str], found: Verification) -> None:
    """Check the old records that say what holds reserved: they are read, so they must be what was hashed."""
    for row in await audit.legs_records(transfer_ids):
        made = sha256(b"\x00" + row["record"]).digest()
        if made != row["leaf_hash"]:
            found.find(altered_record(shard, row["journal_index"], row["leaf_hash"], made, row["transfer_id"]))
