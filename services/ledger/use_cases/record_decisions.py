"""Turn decisions into journal records, chain them, let the tree grow and sign its new head."""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.signed_note import sign_note, vkey
from libs.common.proof.tree_head import TreeHead
from services.ledger.domain.commands import HoldResolved
from services.ledger.domain.engine import Decisions
from services.ledger.store.batch import Sealed
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import KIND_PREFIX, JournalRecord, encode_record, record_legs


class Signer:
    """Signs tree heads under the log's name. The writer alone holds one."""

    def __init__(self, origin: str, private_key: Ed25519PrivateKey) -> None:
        """Take the log's name (its C2SP origin, which is also the key's name) and its key."""
        self._origin = origin
        self._private_key = private_key
        self.vkey = vkey(origin, private_key.public_key())

    def sign(self, tree: TreeHead) -> str:
        """Return the signed note of the tree's checkpoint."""
        return sign_note(Checkpoint(self._origin, tree.size, tree.root).text(), self._origin, self._private_key)


def record_decisions(decisions: Decisions, *, head: JournalHead, now: str, shard: int, signer: Signer) -> Sealed:
    """Return the records of all changes, in their order, and the journal's head after them.

    leaf = SHA-256(0x00 ‖ record), as RFC 6962 wants; chain = SHA-256(previous chain ‖ leaf).
    """
    records: list[bytes] = []
    leaves: list[bytes] = []
    chain: list[bytes] = []
    link = head.chain_hash
    for transfer, source in decisions.changes:
        command = source.command
        record = encode_record(
            JournalRecord(
                actor_id=command.actor_id,
                code=transfer.code,
                decision_id=source.decision_id,
                index=transfer.journal_index,
                kind=KIND_PREFIX + transfer.status,
                legs=record_legs(transfer.legs),
                memo_commitment=command.memo_commitment,
                reasons=transfer.reasons,
                requested_at=command.requested_at,
                ruleset=source.ruleset,
                shard=shard,
                time=now,
                transfer_id=transfer.transfer_id,
                transfer_kind=transfer.kind,
                verdict=source.resolution if isinstance(source, HoldResolved) else source.verdict,
                version=transfer.version,
            )
        )
        leaf = sha256(b"\x00" + record).digest()
        link = sha256(link + leaf).digest()
        records.append(record)
        leaves.append(leaf)
        chain.append(link)
    tree, full_tiles = head.tree.extended(leaves)
    after = JournalHead(tree.size, link, now, tree)
    return Sealed(records, leaves, chain, full_tiles, after, signer.sign(tree))
