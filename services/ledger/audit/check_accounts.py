"""Every account against what its records sum up to, and the shard's head against where its journal ends."""

from typing import Any, Final

from libs.common.clock import from_rfc3339
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.audit.findings import (
    BALANCES,
    EDITED,
    REWRITTEN,
    Finding,
    Verification,
    differences,
    row_differences,
)
from services.ledger.audit.replay_journal import ReplayedAccount, ReplayJournal
from services.ledger.domain.system_accounts import reserve_of
from services.ledger.store.audit import Audit

_BALANCE: Final = ("posted_minor", "pending_in_minor", "pending_out_minor", "last_seq")
_ACCOUNT: Final = (*_BALANCE, "status", "minimum_minor", "maximum_minor", "asset")
_NEVER: Final = "1970-01-01T00:00:00.000000Z"


async def check_accounts(audit: Audit, replay: ReplayJournal, found: Verification) -> None:
    """Compare every account with all of its records."""
    seen = set()
    async for page in audit.accounts():
        for row in page:
            account_id = row["account_id"]
            seen.add(account_id)
            computed = _expected(account_id, replay.accounts.get(account_id), row)
            stored = tuple(row[name] for name in _ACCOUNT)
            if stored != computed:
                found.find(
                    Finding(
                        "balance_altered",
                        "accounts",
                        account_id,
                        "the account is not what its records make it",
                        BALANCES,
                        parties=(account_id,),
                        differences=row_differences(_ACCOUNT, stored, computed),
                    )
                )
    for account_id in replay.accounts.keys() - seen:
        found.find(
            Finding(
                "missing_record",
                "accounts",
                account_id,
                "the account has records and no row",
                BALANCES,
                parties=(account_id,),
            )
        )


async def check_last_entries(audit: Audit, found: Verification, *, limit: int) -> None:
    """Compare every account's balance with its last entry: cheap, and what a thief would change first."""
    for row in await audit.unbalanced(limit):
        stored = {"posted_minor": row["posted_minor"], "last_seq": row["last_seq"]}
        computed = {"posted_minor": row["balance_after_minor"], "last_seq": row["seq"]}
        found.find(
            Finding(
                "balance_altered",
                "accounts",
                row["account_id"],
                "the account does not hold what its last entry says",
                BALANCES,
                row["journal_index"],
                parties=(row["account_id"],),
                differences=differences(stored, computed),
            )
        )


async def check_head(audit: Audit, found: Verification, *, shard: int, chain_hash: bytes, time: str) -> None:
    """Compare the shard's head, and what was sealed and signed, with where the journal ends."""
    head = await audit.head()
    size = found.size
    if head is None:
        found.find(Finding("missing_record", "heads", str(shard), "the shard has no head", REWRITTEN))
        return
    newest = await audit.newest_sizes()
    for table, reached in (
        ("heads", head["size"]),
        ("blocks", newest["blocks"] or 0),
        ("checkpoints", newest["checkpoints"] or 0),
    ):
        if reached > size:
            found.find(
                Finding(
                    "tail_cut",
                    table,
                    str(shard) if table == "heads" else f"{shard}/{reached}",
                    f"the journal ends at {size} records and once had {reached}",
                    REWRITTEN,
                    size,
                    differences=differences({"size": reached}, {"size": size}),
                )
            )
    stored = {
        "chain_hash": head["chain_hash"].hex(),
        "last_record_at": head["last_record_at"],
        "size": min(head["size"], size),
    }
    computed = {
        "chain_hash": chain_hash.hex(),
        "last_record_at": from_rfc3339(time or _NEVER).timestamp(),
        "size": size,
    }
    if stored != computed and head["size"] <= size:
        found.find(
            Finding(
                "chain_broken",
                "heads",
                str(shard),
                "the shard's head is not where the journal ends",
                REWRITTEN,
                size - 1,
                stored_hash=head["chain_hash"].hex(),
                computed_hash=chain_hash.hex(),
                differences=differences(stored, computed),
            )
        )


async def check_counts(audit: Audit, found: Verification, shard: int) -> None:
    """Count what the journal has made: rows that nobody asked for are found by their number."""
    counts = await audit.counts(found.size)
    for table, computed in (("blocks", found.blocks), ("checkpoints", found.blocks), ("tree_tiles", found.tiles)):
        if counts[table] != computed:
            found.find(
                Finding(
                    "record_altered" if counts[table] > computed else "missing_record",
                    table,
                    str(shard),
                    f"the records make {computed} rows, the table has {counts[table]}",
                    EDITED,
                    differences=differences({"count": counts[table]}, {"count": computed}),
                )
            )


def _expected(account_id: str, account: ReplayedAccount | None, row: Any) -> tuple[Any, ...]:
    minimum_minor, maximum_minor, status, asset = (
        -MAX_AMOUNT_MINOR if account_id == reserve_of(row["asset"]) else 0,
        MAX_AMOUNT_MINOR,
        "active",
        row["asset"],
    )
    if account is None:
        return (0, 0, 0, 0, status, minimum_minor, maximum_minor, asset)
    return (
        account.posted_minor,
        account.pending_in_minor,
        account.pending_out_minor,
        account.last_seq,
        account.status or status,
        minimum_minor if account.minimum_minor is None else account.minimum_minor,
        maximum_minor if account.maximum_minor is None else account.maximum_minor,
        account.asset or asset,
    )
