"""One record against the newest signed tree."""

from collections.abc import Sequence

from libs.common.errors import InvariantBroken
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.merkle import verify_inclusion
from libs.common.proof.proof_building import build_inclusion_proof
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_note
from services.ledger.audit.findings import REWRITTEN, UNTRUSTED, Difference, Finding, Verification
from services.ledger.store.audit import Audit


async def signed_tree(audit: Audit, vkeys: Sequence[Vkey], shard: int, found: Verification) -> Checkpoint | None:
    """Return the newest checkpoint; None, with a finding, when it cannot be relied on."""
    newest = await audit.newest_checkpoint()
    if newest is None:
        found.find(Finding("missing_record", "checkpoints", str(shard), "the journal was never signed", REWRITTEN))
        return None
    row = f"{shard}/{newest.size}"
    try:
        checkpoint = Checkpoint.parse(open_note(newest.note, vkeys))
    except (NoteUnverified, CheckpointMalformed) as failure:
        found.find(Finding("checkpoint_forged", "checkpoints", row, str(failure), UNTRUSTED, newest.size - 1))
        return None
    if checkpoint.size != newest.size:
        found.find(
            Finding(
                "checkpoint_forged",
                "checkpoints",
                row,
                "it is signed for a tree of another size",
                REWRITTEN,
                newest.size - 1,
                differences=(Difference("size", str(checkpoint.size), str(newest.size)),),
            )
        )
        return None
    found.root = checkpoint.root.hex()
    return checkpoint


async def check_inclusion(audit: Audit, checkpoint: Checkpoint, shard: int, index: int, found: Verification) -> None:
    """Find whether the checkpoint's tree holds the record's leaf hash."""
    leaf = (await audit.records([index]))[0]["leaf_hash"]
    try:
        proof = await build_inclusion_proof(index, checkpoint.size, audit.tiles)
    except InvariantBroken:
        proof = []  # tiles are missing or cut: nothing shows that the tree holds the record
    if not verify_inclusion(leaf, index, checkpoint.size, proof, checkpoint.root):
        found.find(
            Finding(
                "chain_broken",
                "journal",
                f"{shard}/{index}",
                "the signed tree does not hold this record",
                REWRITTEN,
                index,
                stored_hash=leaf.hex(),
                computed_hash=checkpoint.root.hex(),
            )
        )
