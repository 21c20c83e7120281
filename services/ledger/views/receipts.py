"""Receipts: what a party can keep, and show to anybody."""

from typing import Final, NamedTuple

from libs.common.db.reading import Reading
from libs.common.errors import InvariantBroken
from libs.common.proof.proof_building import build_inclusion_proof
from libs.common.proof.receipts import encode_receipt
from services.ledger.store.checkpoints import load_newest_checkpoint
from services.ledger.store.journal_record import decode_transfer_record
from services.ledger.store.tiles import StoredTiles

# What a hold's or a reversed transfer's newest record says may have moved less than its legs, or nothing at all: whose
# transfer it is stands in the record that named them.
_RECORD: Final = """
SELECT j.shard, j.journal_index, j.record, l.record
FROM ledger.transfers t JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = t.journal_index
LEFT JOIN ledger.settlements s ON s.transfer_id = t.transfer_id
LEFT JOIN ledger.journal l ON l.shard = s.shard AND l.journal_index = s.legs_index
WHERE t.transfer_id = $1
"""
_OWNERS: Final = """
SELECT DISTINCT owner_id::text FROM ledger.accounts WHERE account_id = ANY($1::uuid[]) AND owner_id IS NOT NULL
"""


class Receipt(NamedTuple):
    """A receipt and who may have it: the owners of the transfer's accounts and whoever asked for it."""

    parties: frozenset[str]
    document: bytes


class ReceiptView:
    """Makes receipts from what is stored; nothing is signed for them."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def one(self, transfer_id: str) -> Receipt | None:
        """Return the receipt of the transfer's newest record under the newest checkpoint. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_RECORD, transfer_id)
            if row is None:
                return None
            shard, index, record, legs_record = row
            checkpoint = await load_newest_checkpoint(connection, shard)
            if checkpoint is None or checkpoint.size <= index:
                raise InvariantBroken("a record commits together with a checkpoint that covers it", index=index)
            proof = await build_inclusion_proof(index, checkpoint.size, StoredTiles(connection, shard))
            said = [decode_transfer_record(text) for text in (record, legs_record) if text is not None]
            legs = [leg for one in said for leg in one.legs]
            accounts = {leg.source_account_id for leg in legs} | {leg.destination_account_id for leg in legs}
            owners = [row[0] for row in await connection.fetch(_OWNERS, list(accounts))]
        document = encode_receipt(record=record, index=index, proof=proof, checkpoint=checkpoint.note)
        return Receipt(frozenset([*owners, *(one.actor_id for one in said)]), document)
