"""Whatever claims to be a receipt: it proves what the ledger signed and nothing else, or says why it proves nothing."""

import asyncio
import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.canonical_json import NotCanonical, canonical, parse_canonical
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import leaf_hash
from libs.common.proof.proof_building import build_inclusion_proof
from libs.common.proof.receipts import ReceiptFault, ReceiptInvalid, encode_receipt, verify_receipt
from libs.common.proof.signed_note import VkeyInvalid, sign_note, vkey
from tests.fuzz.fuzzing import damaged, damaged_text, fuzz
from tests.unit.proof.memory_log import MemoryLog

ORIGIN: Final = "ledger.example/0"
PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS: Final = vkey(ORIGIN, PRIVATE.public_key()) + "\n"
OTHER_KEYS: Final = vkey("other.example", Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()) + "\n"
RECORDS: Final = [canonical({"index": index, "memo": "Grüße\u2028", "legs": [index, None, True]}) for index in range(9)]
LOG: Final = MemoryLog([leaf_hash(record) for record in RECORDS])
NOTE: Final = sign_note(Checkpoint(ORIGIN, len(RECORDS), LOG.head.root).text(), ORIGIN, PRIVATE)


async def receipts() -> list[bytes]:
    return [
        encode_receipt(
            record=RECORDS[index],
            index=index,
            proof=await build_inclusion_proof(index, len(RECORDS), LOG),
            checkpoint=NOTE,
        )
        for index in (0, 5, 8)
    ]


RECEIPTS: Final = asyncio.run(receipts())


@fuzz(receipt=damaged(RECEIPTS))
def test_a_receipt_proves_a_record_that_was_signed_or_says_why_it_proves_nothing(receipt: bytes) -> None:
    try:
        proven = verify_receipt(receipt, KEYS)
    except ReceiptInvalid as refused:
        assert refused.code in set(ReceiptFault)
        return
    assert canonical(proven.record) == RECORDS[proven.index]
    assert (proven.size, proven.origin) == (len(RECORDS), ORIGIN)
    fields = json.loads(receipt)
    again = RECEIPTS[(0, 5, 8).index(proven.index)]
    assert {**fields, "checkpoint": NOTE} == json.loads(again), "spelt anew it is the receipt that was given"


@fuzz(keys=damaged_text([KEYS, OTHER_KEYS + KEYS]))
def test_whatever_keys_it_is_verified_with_only_those_of_the_ledger_believe_it(keys: str) -> None:
    try:
        assert verify_receipt(RECEIPTS[0], keys).index == 0
    except (VkeyInvalid, ReceiptInvalid):
        return
    assert KEYS.strip() in [line.strip() for line in keys.split("\n")]


@fuzz(text=damaged([*RECORDS, b"[0,-1,true,null]", b'{"a":{"b":[]},"\xc3\xa9":"\\u0001"}']))
def test_a_canonical_text_is_the_one_spelling_of_its_value_or_refused(text: bytes) -> None:
    try:
        value = parse_canonical(text)
    except NotCanonical:
        return
    assert canonical(value) == text
