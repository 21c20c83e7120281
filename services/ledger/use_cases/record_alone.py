"""Hash, chain and sign one record that is written beside the writer."""

from hashlib import sha256

from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import ReleaseRecord, RepairRecord, encode_record
from services.ledger.store.lone_records import LoneRecord
from services.ledger.use_cases.record_decisions import Signer


def record_alone(record: ReleaseRecord | RepairRecord, head: JournalHead, signer: Signer) -> LoneRecord:
    """Return the record as the next one behind this head, with the signed head it makes."""
    text = encode_record(record)
    leaf = sha256(b"\x00" + text).digest()
    tree, full_tiles = head.tree.extended([leaf])
    after = JournalHead(tree.size, sha256(head.chain_hash + leaf).digest(), record.time, tree)
    return LoneRecord(record.kind, text, leaf, full_tiles, after, signer.sign(tree))
