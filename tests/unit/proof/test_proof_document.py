"""docs/proof.md: its worked example, recomputed from the key and the records that stand in it."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.canonical_json import parse_canonical
from libs.common.proof.receipts import verify_receipt
from services.ledger.store.journal_record import (
    JournalRecord,
    RecordFee,
    RecordLeg,
    decode_transfer_record,
    encode_record,
)

TEXT = (Path(__file__).parents[3] / "docs" / "proof.md").read_text()
BLOCKS = {name: body.split("\n") for name, body in re.findall(r"```text (\w+)\n(.*?)\n```", TEXT, re.DOTALL)}
SEED, PUBLIC = (bytes.fromhex(line) for line in BLOCKS["key"])
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
ORIGIN = "ledger.example/0"
RECORDS = [line.encode() for line in BLOCKS["records"]]


def hashed(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def base64(value: bytes) -> str:
    return b64encode(value).decode()


# From here on everything is as the document says it, and nothing as our code does.
LEAVES = [hashed(b"\x00", record) for record in RECORDS]
FIRST_TWO = hashed(b"\x01", LEAVES[0], LEAVES[1])
ROOTS = [hashed(), LEAVES[0], FIRST_TWO, hashed(b"\x01", FIRST_TWO, LEAVES[2])]
KEY_ID = hashed(ORIGIN.encode(), b"\n\x01", PUBLIC)[:4]
CHECKPOINT = f"{ORIGIN}\n3\n{base64(ROOTS[3])}\n"
NOTE = f"{CHECKPOINT}\n— {ORIGIN} {base64(KEY_ID + KEY.sign(CHECKPOINT.encode()))}\n"


def test_the_keys_are_the_examples() -> None:
    assert KEY.public_key().public_bytes_raw() == PUBLIC
    assert BLOCKS["vkey"] == [f"{ORIGIN}+{KEY_ID.hex()}+{base64(bytes([1]) + PUBLIC)}"]


def test_the_records_are_as_the_ledger_writes_them() -> None:
    for index, record in enumerate(RECORDS):
        assert encode_record(decode_transfer_record(record)) == record
        said = parse_canonical(record)
        assert isinstance(said, dict)
        assert said["index"] == index


def test_every_hash_follows_from_the_records() -> None:
    assert BLOCKS["leaves"] == [leaf.hex() for leaf in LEAVES]
    chain = [hashed(bytes(32), LEAVES[0])]
    chain += [hashed(chain[0], LEAVES[1])]
    chain += [hashed(chain[1], LEAVES[2])]
    assert BLOCKS["chain"] == [link.hex() for link in chain]
    assert BLOCKS["roots"] == [root.hex() for root in ROOTS]


def test_the_checkpoint_is_signed_as_described() -> None:
    assert "\n".join([*BLOCKS["note"], ""]) == NOTE


def test_the_receipt_and_the_proof_follow_and_verify() -> None:
    [receipt] = BLOCKS["receipt"]
    assert json.loads(receipt) == {
        "record": RECORDS[1].decode(),
        "index": 1,
        "proof": [base64(LEAVES[0]), base64(LEAVES[2])],
        "checkpoint": NOTE,
    }
    assert verify_receipt(receipt.encode(), "\n".join(BLOCKS["vkey"])).size == 3
    assert BLOCKS["consistency"] == [base64(LEAVES[1]), base64(LEAVES[2])]


def test_the_fields_of_every_kind_of_record_are_listed() -> None:
    listed = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"`([^`]+)`", TEXT))))
    for kind in (*get_args(JournalRecord), RecordLeg, RecordFee):
        assert set(kind.__struct_fields__) <= listed, kind.__name__
