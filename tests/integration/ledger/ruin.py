"""Ways to ruin a ledger behind its back, and what a verification says about it afterwards."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import HASH_BYTES, leaf_hash
from libs.common.proof.signed_note import parse_vkeys, sign_note
from libs.common.proof.tree_head import TreeHead
from services.ledger.audit.findings import Scope, Verification
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.verify_ledger import verify_ledger
from tests.integration.ledger.books import KEY, SHARD, SIGNER, Books
from tests.support.api_world import MovedClock, admin_connection

ORIGIN = "ledger.example/test"
Seen = tuple[str, str, list[tuple[str, str, str]]]
"""Kind, row, and (field, stored, computed) of each difference."""


async def verify(dsn: str, scope: Scope = "full", subject_id: str = "", *, turn: int = 0) -> Verification:
    """Verify with the ledger's own key."""
    vkeys = parse_vkeys(SIGNER.vkey)
    return await verify_ledger(
        dsn, vkeys, monotonic_seconds=monotonic_seconds, scope=scope, subject_id=subject_id, turn=turn
    )


async def sign_state(dsn: str, books: Books) -> None:
    """Verify everything and leave behind the signed state that the next verification goes on from."""
    hot = HotConnection(dsn, "test-auditor")
    record = RecordVerification(hot, Outbox("ledger", books.publisher, hot), SIGNER, MovedClock(), SHARD)
    found = await verify(dsn)
    assert found.is_good, found.findings
    await record(found)
    await hot.close()


def seen(found: Verification, table: str) -> list[Seen]:
    """Return what was found in a table."""
    return [
        (one.kind, one.row, [(field, stored, computed) for field, stored, computed in one.differences])
        for one in found.findings
        if one.table == table
    ]


async def fetch(dsn: str, query: str, *args: Any) -> Any:
    """Return the first value of the first row; a test that reads nothing tests nothing."""
    async with admin_connection(dsn) as connection:
        value = await connection.fetchval(query, *args)
    assert value is not None, query
    return value


async def index_of(dsn: str, transfer_id: str, kind: str) -> int:
    """Return the index of a transfer's first record of this kind."""
    index: int = await fetch(
        dsn,
        "SELECT journal_index FROM ledger.journal WHERE transfer_id = $1 AND kind = $2 ORDER BY 1 LIMIT 1",
        transfer_id,
        f"transfer.{kind}",
    )
    return index


async def time_of(dsn: str, index: int) -> str:
    """Return a record's time as it spells it."""
    time: str = await fetch(
        dsn, "SELECT convert_from(record, 'UTF8')::json->>'time' FROM ledger.journal WHERE journal_index = $1", index
    )
    return time


async def tamper(dsn: str, *statements: str) -> None:
    """Do this as whoever owns the server could: no trigger, no constraint."""
    async with admin_connection(dsn) as connection:
        await connection.execute("SET session_replication_role = replica")
        checks = await connection.fetch(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint "
            "WHERE connamespace = 'ledger'::regnamespace AND contype = 'c'"
        )
        for table, name in checks:
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for statement in statements:
            assert not (await connection.execute(statement)).endswith(" 0"), f"nothing was changed: {statement}"


async def edit_record(dsn: str, index: int, old: bytes, new: bytes) -> None:
    """Change a record's text and none of its hashes."""
    record = await fetch(dsn, "SELECT record FROM ledger.journal WHERE journal_index = $1", index)
    assert old in record, record
    edited = record.replace(old, new)
    await tamper(dsn, f"UPDATE ledger.journal SET record = '\\x{edited.hex()}' WHERE journal_index = {index}")


async def rewrite_records(
    dsn: str, edits: Mapping[int, tuple[bytes, bytes]], *, key: Ed25519PrivateKey = KEY, shard: int = 0
) -> None:
    """Change records (index → old and new bytes) with every hash over them, and sign again what they change."""
    async with admin_connection(dsn) as connection, connection.transaction():
        await connection.execute("SET session_replication_role = replica")
        rows = await connection.fetch(
            "SELECT record, chain_hash FROM ledger.journal WHERE shard = $1 ORDER BY journal_index", shard
        )
        texts = [row["record"] for row in rows]
        for index, (old, new) in edits.items():
            assert old in texts[index], texts[index]
            texts[index] = texts[index].replace(old, new)
        first = min(edits)
        leaves = [leaf_hash(text) for text in texts]
        chain = [rows[first - 1]["chain_hash"] if first else bytes(HASH_BYTES)]
        for leaf in leaves[first:]:
            chain.append(sha256(chain[-1] + leaf).digest())
        changed = zip(range(first, len(texts)), texts[first:], leaves[first:], chain[1:], strict=True)
        await connection.executemany(
            "UPDATE ledger.journal SET record = $3, leaf_hash = $4, chain_hash = $5 "
            "WHERE shard = $1 AND journal_index = $2",
            [(shard, *row) for row in changed],
        )
        await connection.execute("UPDATE ledger.heads SET chain_hash = $2 WHERE shard = $1", shard, chain[-1])
        _, tiles = TreeHead.empty().extended(leaves)
        await connection.executemany(
            "UPDATE ledger.tree_tiles SET hashes = $4, root = $5 WHERE shard = $1 AND level = $2 AND tile_index = $3",
            [(shard, tile.level, tile.tile_index, tile.hashes, tile.root) for tile in tiles],
        )
        blocks = await connection.fetch("SELECT size FROM ledger.blocks WHERE shard = $1 AND size > $2", shard, first)
        for (size,) in blocks:
            tree, _ = TreeHead.empty().extended(leaves[:size])
            await connection.execute(
                "UPDATE ledger.blocks SET root = $3, chain_hash = $4 WHERE shard = $1 AND size = $2",
                *(shard, size, tree.root, chain[size - first]),
            )
            note = sign_note(Checkpoint(ORIGIN, size, tree.root).text(), ORIGIN, key)
            await connection.execute(
                "UPDATE ledger.checkpoints SET note = $3 WHERE shard = $1 AND size = $2", shard, size, note
            )
