"""The whole journal and all it has made, in one snapshot."""

from collections.abc import Callable, Sequence

from libs.common.proof.signed_note import Vkey
from services.ledger.audit.check_accounts import check_accounts, check_counts, check_head
from services.ledger.audit.check_books import CheckBooks
from services.ledger.audit.check_proof import CheckProof
from services.ledger.audit.check_rows import CheckRows
from services.ledger.audit.findings import REWRITTEN, Difference, Finding, Verification
from services.ledger.audit.replay_journal import ReplayJournal
from services.ledger.store.audit import Audit

Progress = Callable[[int, int], None]
"""Is told how many records were checked, of how many."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""


async def verify_everything(audit: Audit, vkeys: Sequence[Vkey], shard: int, progress: Progress) -> Verification:
    """Check all there is in the snapshot."""
    found = Verification(scope="full")
    replay = ReplayJournal()
    proof = CheckProof(audit, vkeys, shard, found)
    books = CheckBooks(audit, replay, shard, found, everything=True)
    found.size = await audit.end()
    try:
        async for first, end, page in audit.pages(found.size):
            checked = await proof.check(page, first, end)
            if not checked.is_whole:
                return found  # with records missing, every later check would only echo that
            await books.check(checked)
            progress(end, found.size)
            if found.is_full:
                return found
        await books.finish()
    finally:
        await books.stop()
    say_contradictions(replay, shard, found)
    await CheckRows(audit, replay, shard, found, everything=True).run()
    found.root, found.chain_hash = proof.tree.root.hex(), proof.chain_hash.hex()
    await check_head(audit, found, shard=shard, chain_hash=proof.chain_hash, time=proof.time)
    await check_counts(audit, found, shard)
    await check_accounts(audit, replay, found)
    found.state_digest = await audit.state_digest({})
    return found


def say_contradictions(replay: ReplayJournal, shard: int, found: Verification) -> None:
    """Take in what the records themselves get wrong."""
    for index, field, stored, computed in replay.contradictions:
        found.find(
            Finding(
                "record_altered",
                "journal",
                f"{shard}/{index}",
                "the record contradicts those before it",
                REWRITTEN,
                index,
                differences=(Difference(field, stored, computed),),
            )
        )
