"""A receipt: one journal record, the proof that it is in the tree, and the signed checkpoint of that tree.

Whoever holds a receipt and the ledger's public key can check it without asking anybody. The keys come from the
caller alone: a receipt that brought its own would vouch for itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.common.errors import Malformed
from libs.common.proof.canonical_json import INTEGER_LIMIT, JsonValue, NotCanonical, parse_canonical
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from libs.common.proof.signed_note import NoteFault, NoteUnverified, Vkey, open_log_note, parse_vkeys
from libs.common.proof.strict_base64 import decode_base64, encode_base64

RECEIPT_BYTES_MAX: Final = 1024 * 1024
_FIELDS: Final = frozenset({"record", "index", "proof", "checkpoint"})


class ReceiptFault(StrEnum):
    """What is wrong with a receipt, in the order in which it is looked for."""

    TOO_LARGE = "receipt_too_large"
    NOT_JSON = "receipt_not_json"
    FIELD_MISSING = "receipt_field_missing"
    FIELD_UNKNOWN = "receipt_field_unknown"
    FIELD_INVALID = "receipt_field_invalid"
    RECORD_NOT_CANONICAL = "record_not_canonical"
    INDEX_DIFFERS = "record_index_differs"
    CHECKPOINT_MALFORMED = "checkpoint_malformed"
    KEY_UNKNOWN = "checkpoint_key_unknown"
    SIGNATURE_WRONG = "checkpoint_signature_wrong"
    CHECKPOINT_TOO_SMALL = "checkpoint_too_small"
    PROOF_WRONG = "proof_wrong"


_WHAT_TO_DO: Final = {
    ReceiptFault.TOO_LARGE: "A receipt is at most 1 MiB. Download it again and pass it alone.",
    ReceiptFault.NOT_JSON: "The file is no JSON object with each name once. Download the receipt again, unedited.",
    ReceiptFault.FIELD_MISSING: "The file is cut or is no receipt. Download it again.",
    ReceiptFault.FIELD_UNKNOWN: "The file is no receipt, or a newer kind. Download it again or update this tool.",
    ReceiptFault.FIELD_INVALID: "A field has the wrong form. Download the receipt again, unedited.",
    ReceiptFault.RECORD_NOT_CANONICAL: "The record was reformatted or altered. Download the receipt again, unedited.",
    ReceiptFault.INDEX_DIFFERS: "Record and receipt name different places in the journal. Do not accept the receipt.",
    ReceiptFault.CHECKPOINT_MALFORMED: "The checkpoint is no signed checkpoint. Download the receipt again, unedited.",
    ReceiptFault.KEY_UNKNOWN: "No trusted key signed the checkpoint. Get the issuer's keys from a source you trust.",
    ReceiptFault.SIGNATURE_WRONG: "The checkpoint was altered after signing. Do not accept the receipt.",
    ReceiptFault.CHECKPOINT_TOO_SMALL: "The checkpoint is older than the record. Ask for the receipt again.",
    ReceiptFault.PROOF_WRONG: "The record is not what the issuer put into its journal. Do not accept the receipt.",
}

_FAULT_OF_NOTE: Final = {
    NoteFault.MALFORMED: ReceiptFault.CHECKPOINT_MALFORMED,
    NoteFault.KEY_UNKNOWN: ReceiptFault.KEY_UNKNOWN,
    NoteFault.SIGNATURE_WRONG: ReceiptFault.SIGNATURE_WRONG,
}


class ReceiptInvalid(Malformed):
    """The receipt proves nothing; `code` says why, `detail` what its holder should do now."""

    def __init__(self, fault: ReceiptFault) -> None:
        """Look up the advice that belongs to the fault."""
        super().__init__(fault, _WHAT_TO_DO[fault])


@dataclass(frozen=True)
class VerifiedReceipt:
    """What a good receipt proves: `origin` had this record at `index` when its journal held `size` records."""

    record: dict[str, JsonValue]
    index: int
    size: int
    origin: str


@dataclass(frozen=True)
class _Receipt:
    record: str
    index: int
    proof: list[bytes]
    checkpoint: str


def encode_receipt(*, record: bytes, index: int, proof: Sequence[bytes], checkpoint: str) -> bytes:
    """Return the receipt of a canonical record, with the proof from leaf to root and the signed note."""
    fields = {
        "record": record.decode("utf-8"),
        "index": index,
        "proof": [encode_base64(sibling) for sibling in proof],
        "checkpoint": checkpoint,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def verify_receipt(receipt_bytes: bytes, vkeys_text: str) -> VerifiedReceipt:
    """Return what the receipt proves to someone who trusts these keys (one vkey a line, newest first).

    Raises: VkeyInvalid when the keys cannot be read; ReceiptInvalid with the first fault in the order of ReceiptFault.
    """
    vkeys = parse_vkeys(vkeys_text)
    receipt = _parse_receipt(receipt_bytes)
    record = _parse_record(receipt)
    checkpoint = _open_checkpoint(receipt.checkpoint, vkeys)
    if checkpoint.size <= receipt.index:
        raise ReceiptInvalid(ReceiptFault.CHECKPOINT_TOO_SMALL)
    leaf = leaf_hash(receipt.record.encode("utf-8"))
    if not verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof, checkpoint.root):
        raise ReceiptInvalid(ReceiptFault.PROOF_WRONG)
    return VerifiedReceipt(record, receipt.index, checkpoint.size, checkpoint.origin)


def _parse_receipt(receipt_bytes: bytes) -> _Receipt:
    if len(receipt_bytes) > RECEIPT_BYTES_MAX:
        raise ReceiptInvalid(ReceiptFault.TOO_LARGE)
    fields = _parse_object(receipt_bytes)
    if not fields.keys() >= _FIELDS:
        raise ReceiptInvalid(ReceiptFault.FIELD_MISSING)
    if fields.keys() != _FIELDS:
        raise ReceiptInvalid(ReceiptFault.FIELD_UNKNOWN)
    record, index, checkpoint = fields["record"], fields["index"], fields["checkpoint"]
    # A bool passes for an int in Python, not in a receipt.
    if not isinstance(record, str) or not isinstance(checkpoint, str) or type(index) is not int:
        raise ReceiptInvalid(ReceiptFault.FIELD_INVALID)
    if not 0 <= index <= INTEGER_LIMIT:
        raise ReceiptInvalid(ReceiptFault.FIELD_INVALID)
    return _Receipt(record, index, _parse_proof(fields["proof"]), checkpoint)


def _parse_object(text: bytes) -> dict[str, object]:
    """Return the fields of a JSON object in which no name occurs twice."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique_names)
    # Deep nesting exhausts the parser's stack; such a text is no receipt either.
    except (ValueError, RecursionError) as error:
        raise ReceiptInvalid(ReceiptFault.NOT_JSON) from error
    if not isinstance(value, dict):
        raise ReceiptInvalid(ReceiptFault.NOT_JSON)
    return value


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice: readers differ on which one counts")
    return fields


def _parse_proof(value: object) -> list[bytes]:
    if not isinstance(value, list) or not all(isinstance(sibling, str) for sibling in value):
        raise ReceiptInvalid(ReceiptFault.FIELD_INVALID)
    try:
        proof = [decode_base64(sibling) for sibling in value]
    except ValueError as error:
        raise ReceiptInvalid(ReceiptFault.FIELD_INVALID) from error
    if any(len(sibling) != HASH_BYTES for sibling in proof):
        raise ReceiptInvalid(ReceiptFault.FIELD_INVALID)
    return proof


def _parse_record(receipt: _Receipt) -> dict[str, JsonValue]:
    try:
        record = parse_canonical(receipt.record.encode("utf-8"))
    except (NotCanonical, UnicodeEncodeError) as error:
        raise ReceiptInvalid(ReceiptFault.RECORD_NOT_CANONICAL) from error
    if not isinstance(record, dict):
        raise ReceiptInvalid(ReceiptFault.RECORD_NOT_CANONICAL)
    index = record.get("index")
    if type(index) is not int or index != receipt.index:
        raise ReceiptInvalid(ReceiptFault.INDEX_DIFFERS)
    return record


def _open_checkpoint(note: str, vkeys: list[Vkey]) -> Checkpoint:
    try:
        return Checkpoint.parse(open_log_note(note, vkeys))
    except NoteUnverified as error:
        raise ReceiptInvalid(_FAULT_OF_NOTE[error.fault]) from error
    except CheckpointMalformed as error:
        raise ReceiptInvalid(ReceiptFault.CHECKPOINT_MALFORMED) from error
