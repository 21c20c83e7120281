"""Write receipts and proofs made by our code, for another implementation to check: `make_cases.py CASES.json`."""

import asyncio
import json
import re
import sys
from base64 import b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import leaf_hash, root_of
from libs.common.proof.proof_building import build_consistency_proof, build_inclusion_proof
from libs.common.proof.receipts import encode_receipt
from libs.common.proof.signed_note import sign_note, vkey
from services.ledger.store.journal_record import RecordLeg, TransferRecord, encode_record
from tests.unit.proof.memory_log import MemoryLog

ORIGIN = "ledger.example/0"
OLD_KEY, KEY = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 511, 700)
DOCUMENT = Path(__file__).parents[2] / "docs" / "proof.md"


def record(index: int) -> bytes:
    """Return a record as the ledger writes it; its text has what JSON escapes, and what UTF-8 spends bytes on."""
    return encode_record(
        TransferRecord(
            actor_id="actor",
            code="" if index % 3 else 'quoted "no" \\ é ‖ 😀',
            decision_id="decision",
            index=index,
            kind="transfer.posted" if index % 3 else "transfer.refused",
            legs=[RecordLeg(2**53 - 1 - index, "USD", "payee", "payer")],
            memo_commitment="",
            reasons=(),
            requested_at="2026-03-01T09:30:00.000000Z",
            ruleset=1,
            shard=0,
            time="2026-03-01T09:30:00.000000Z",
            transfer_id=str(index),
            transfer_kind="transfer",
            verdict="approve",
            version=1,
        )
    )


def encoded(*values: bytes) -> list[str]:
    """Return base64 of each."""
    return [b64encode(value).decode() for value in values]


async def cases() -> dict[str, object]:
    """Return what another implementation is to find right."""
    records = [record(index) for index in range(max(SIZES))]
    log = MemoryLog([leaf_hash(one) for one in records])
    roots = {size: root_of(log.leaves[:size]) for size in SIZES}
    # The document's own example comes along, so that what is written down is checked as well.
    [[document_key], [document_receipt]] = (
        re.findall(rf"```text {name}\n(.*)\n", DOCUMENT.read_text()) for name in ("vkey", "receipt")
    )
    receipts, inclusions, consistencies = [document_receipt.encode()], [], []
    for number, (size, root) in enumerate(roots.items()):
        signer = OLD_KEY if number % 2 else KEY
        note = sign_note(Checkpoint(ORIGIN, size, root).text(), ORIGIN, signer)
        for index in sorted({0, size // 2, size - 1}):
            proof = await build_inclusion_proof(index, size, log)
            receipts.append(encode_receipt(record=records[index], index=index, proof=proof, checkpoint=note))
            [leaf], [encoded_root] = encoded(log.leaves[index]), encoded(root)
            inclusions.append(
                {"index": index, "size": size, "leaf": leaf, "root": encoded_root, "proof": encoded(*proof)}
            )
        for second in SIZES[number:]:
            proof = await build_consistency_proof(size, second, log)
            [first_root, second_root] = encoded(root, roots[second])
            consistencies.append(
                {
                    "first": size,
                    "second": second,
                    "first_root": first_root,
                    "second_root": second_root,
                    "proof": encoded(*proof),
                }
            )
    return {
        "vkeys": [vkey(ORIGIN, key.public_key()) for key in (KEY, OLD_KEY)] + [document_key],
        "receipts": encoded(*receipts),
        "inclusions": inclusions,
        "consistencies": consistencies,
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(cases())))
