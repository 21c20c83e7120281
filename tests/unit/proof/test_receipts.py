"""Receipts: the good one, and each way in which one can be bad."""

import json
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from libs.common.proof.canonical_json import JsonValue, canonical
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import leaf_hash
from libs.common.proof.proof_building import build_inclusion_proof
from libs.common.proof.receipts import (
    RECEIPT_BYTES_MAX,
    ReceiptFault,
    ReceiptInvalid,
    VerifiedReceipt,
    encode_receipt,
    verify_receipt,
)
from libs.common.proof.signed_note import VkeyInvalid, sign_note, vkey
from tallystick.commands.verify_receipt import verify_receipt_command
from tests.unit.proof.memory_log import MemoryLog

ORIGIN = "ledger.example/0"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = vkey(ORIGIN, PRIVATE.public_key()) + "\n"
OTHER_KEYS = vkey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()) + "\n"
INDEX, SIZE = 5, 300
RECORDS = [canonical({"index": index, "kind": "[red]posted", "amount_minor": 12_50}) for index in range(SIZE)]
LOG = MemoryLog([leaf_hash(record) for record in RECORDS])
NOTE = sign_note(Checkpoint(ORIGIN, SIZE, LOG.head.root).text(), ORIGIN, PRIVATE)


@pytest.fixture
async def good() -> bytes:
    proof = await build_inclusion_proof(INDEX, SIZE, LOG)
    return encode_receipt(record=RECORDS[INDEX], index=INDEX, proof=proof, checkpoint=NOTE)


def altered(receipt: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(receipt), **fields}).encode()


def fault_of(receipt: bytes, keys: str = KEYS) -> str:
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(receipt, keys)
    assert caught.value.detail
    return caught.value.code


def test_a_good_receipt_says_what_it_proves(good: bytes) -> None:
    record: dict[str, JsonValue] = {"index": INDEX, "kind": "[red]posted", "amount_minor": 12_50}
    assert verify_receipt(good, KEYS) == VerifiedReceipt(record, INDEX, SIZE, ORIGIN)


def test_a_receipt_outlives_the_rotation_of_the_key(good: bytes) -> None:
    assert verify_receipt(good, OTHER_KEYS + KEYS).index == INDEX


def test_a_receipt_of_the_only_record_has_an_empty_proof() -> None:
    log = MemoryLog([leaf_hash(RECORDS[0])])
    note = sign_note(Checkpoint(ORIGIN, 1, log.head.root).text(), ORIGIN, PRIVATE)
    receipt = encode_receipt(record=RECORDS[0], index=0, proof=[], checkpoint=note)
    assert verify_receipt(receipt, KEYS).size == 1


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"index":1,"index":1}', b'{"index":' + b"9" * 5_000],
)
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    assert fault_of(text) == ReceiptFault.NOT_JSON


def test_more_than_a_mebibyte_is_refused_unread(good: bytes) -> None:
    at_the_bound = good + b" " * (RECEIPT_BYTES_MAX - len(good))
    assert verify_receipt(at_the_bound, KEYS).index == INDEX
    assert fault_of(at_the_bound + b" ") == ReceiptFault.TOO_LARGE


@pytest.mark.parametrize("field", ["record", "index", "proof", "checkpoint"])
def test_a_missing_field_is_named_so(good: bytes, field: str) -> None:
    fields = json.loads(good)
    del fields[field]
    assert fault_of(json.dumps(fields).encode()) == ReceiptFault.FIELD_MISSING


def test_an_unknown_field_is_refused(good: bytes) -> None:
    assert fault_of(altered(good, key=KEYS)) == ReceiptFault.FIELD_UNKNOWN


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record", {"index": INDEX}),
        ("record", None),
        ("index", "5"),
        ("index", 5.0),
        ("index", True),
        ("index", -1),
        ("index", 2**53),
        ("proof", "AAAA"),
        ("proof", [1]),
        ("proof", [None]),
        ("proof", ["AAAA"]),
        ("proof", ["not base64"]),
        ("checkpoint", None),
        ("checkpoint", [NOTE]),
    ],
)
def test_a_field_of_the_wrong_form_is_refused(good: bytes, field: str, value: object) -> None:
    assert fault_of(altered(good, **{field: value})) == ReceiptFault.FIELD_INVALID


@pytest.mark.parametrize(
    "record",
    [
        '{"index": 5}',
        '{"kind":"x","index":5}',
        '{"index":5,"index":5}',
        '{"index":5.0}',
        "[5]",
        "5",
        "",
        "\ud800",
        "[" * 99,
    ],
)
def test_a_record_not_in_canonical_form_is_refused(good: bytes, record: str) -> None:
    assert fault_of(altered(good, record=record)) == ReceiptFault.RECORD_NOT_CANONICAL


@pytest.mark.parametrize("record", ['{"index":6}', '{"index":"5"}', '{"index":true}', "{}"])
def test_a_record_of_another_index_is_refused(good: bytes, record: str) -> None:
    assert fault_of(altered(good, record=record)) == ReceiptFault.INDEX_DIFFERS


async def test_a_true_record_moved_to_another_index_is_refused(good: bytes) -> None:
    assert fault_of(altered(good, index=6)) == ReceiptFault.INDEX_DIFFERS
    assert fault_of(altered(good, index=6, record=RECORDS[6].decode())) == ReceiptFault.PROOF_WRONG


def test_an_altered_amount_breaks_the_proof(good: bytes) -> None:
    record = RECORDS[INDEX].replace(b"1250", b"1251").decode()
    assert fault_of(altered(good, record=record)) == ReceiptFault.PROOF_WRONG


def test_a_shortened_proof_proves_nothing(good: bytes) -> None:
    assert fault_of(altered(good, proof=json.loads(good)["proof"][:-1])) == ReceiptFault.PROOF_WRONG


def test_an_altered_checkpoint_is_noticed(good: bytes) -> None:
    assert fault_of(altered(good, checkpoint=NOTE.replace("300", "301"))) == ReceiptFault.SIGNATURE_WRONG


def test_a_trusted_key_of_another_log_cannot_speak_for_this_one(good: bytes) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = sign_note(Checkpoint(ORIGIN, SIZE, LOG.head.root).text(), "another.example", stranger)
    keys = KEYS + vkey("another.example", stranger.public_key())
    assert fault_of(altered(good, checkpoint=note), keys) == ReceiptFault.KEY_UNKNOWN


@pytest.mark.parametrize("change", [1, 0x20, 0x80])
def test_every_byte_of_a_receipt_counts(good: bytes, change: int) -> None:
    for at, byte in enumerate(good):
        with pytest.raises(ReceiptInvalid):
            verify_receipt(good[:at] + bytes([byte ^ change]) + good[at + 1 :], KEYS)


def test_no_byte_of_a_receipt_can_be_left_out(good: bytes) -> None:
    for at in range(len(good)):
        with pytest.raises(ReceiptInvalid):
            verify_receipt(good[:at] + good[at + 1 :], KEYS)


def test_a_key_the_caller_does_not_trust_is_unknown(good: bytes) -> None:
    assert fault_of(good, OTHER_KEYS) == ReceiptFault.KEY_UNKNOWN


@pytest.mark.parametrize(
    "note", ["", "x\n", NOTE[:-1], "\ud800", sign_note(f"{ORIGIN}\nno\ncheckpoint\n", ORIGIN, PRIVATE)]
)
def test_what_is_no_checkpoint_is_refused(good: bytes, note: str) -> None:
    assert fault_of(altered(good, checkpoint=note)) == ReceiptFault.CHECKPOINT_MALFORMED


@pytest.mark.parametrize("size", [0, INDEX])
def test_a_checkpoint_from_before_the_record_cannot_vouch_for_it(good: bytes, size: int) -> None:
    note = sign_note(Checkpoint(ORIGIN, size, LOG.head.root).text(), ORIGIN, PRIVATE)
    assert fault_of(altered(good, checkpoint=note)) == ReceiptFault.CHECKPOINT_TOO_SMALL


@pytest.mark.parametrize("keys", ["", "\n", "nonsense"])
def test_keys_that_cannot_be_read_are_the_callers_fault(good: bytes, keys: str) -> None:
    with pytest.raises(VkeyInvalid):
        verify_receipt(good, keys)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: json.dumps(text).encode()))
def test_no_bytes_bring_the_verifier_down(receipt: bytes) -> None:
    assert fault_of(receipt)


# tallystick verify-receipt


def run(tmp_path: Path, receipt: bytes, *options: str, keys: str = KEYS) -> tuple[int, str]:
    app = typer.Typer()
    app.command("verify-receipt")(verify_receipt_command)
    (tmp_path / "receipt.json").write_bytes(receipt)
    (tmp_path / "key.txt").write_text(keys, encoding="utf-8")
    arguments = [str(tmp_path / "receipt.json"), "--key", str(tmp_path / "key.txt"), *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_the_command_shows_the_record_and_exits_0(good: bytes, tmp_path: Path) -> None:
    code, output = run(tmp_path, good)
    assert code == 0
    assert "Verified" in output
    assert "[red]posted" in output, "a record's own text is not markup"


def test_the_command_answers_in_json(good: bytes, tmp_path: Path) -> None:
    code, output = run(tmp_path, good, "--json")
    assert code == 0
    answer = json.loads(output)
    assert answer["verified"] is True
    assert (answer["origin"], answer["index"], answer["size"]) == (ORIGIN, INDEX, SIZE)
    assert answer["record"]["amount_minor"] == 12_50


def test_a_bad_receipt_exits_1_and_says_why(good: bytes, tmp_path: Path) -> None:
    code, output = run(tmp_path, good, "--json", keys=OTHER_KEYS)
    assert code == 1
    assert json.loads(output)["code"] == "checkpoint_key_unknown"
    code, output = run(tmp_path, b"{}")
    assert code == 1
    assert "receipt_field_missing" in output


def test_an_oversized_file_is_a_bad_receipt(tmp_path: Path) -> None:
    code, output = run(tmp_path, b" " * (RECEIPT_BYTES_MAX + 100), "--json")
    assert code == 1
    assert json.loads(output)["code"] == "receipt_too_large"


@pytest.mark.parametrize("keys", ["", "nonsense\n"])
def test_an_unusable_key_file_exits_2(good: bytes, tmp_path: Path, keys: str) -> None:
    code, output = run(tmp_path, good, "--json", keys=keys)
    assert code == 2
    assert json.loads(output)["code"] == "key_file_invalid"


def test_a_file_that_is_not_there_exits_2(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("verify-receipt")(verify_receipt_command)
    arguments = [str(tmp_path / "none.json"), "--key", str(tmp_path / "none.txt"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert json.loads(result.output)["code"] == "file_unreadable"
