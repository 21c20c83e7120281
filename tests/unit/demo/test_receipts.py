"""A receipt is compared with what the answer claimed; the times in it are the demo's stopwatch."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.canonical_json import canonical
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import leaf_hash
from libs.common.proof.proof_building import build_inclusion_proof
from libs.common.proof.receipts import encode_receipt
from libs.common.proof.signed_note import sign_note, vkey
from tallystick.demo.receipts import Claim, Proven, check_receipt
from tallystick.demo.speed import measure, quantile
from tests.unit.proof.memory_log import MemoryLog

ORIGIN = "ledger.example/0"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = vkey(ORIGIN, PRIVATE.public_key()) + "\n"
CLAIM = Claim("t1", "posted", "payer", "payee", 12_50)
RECORD = canonical(
    {
        "index": 0,
        "kind": "transfer.posted",
        "legs": [
            {
                "amount_minor": 12_50,
                "asset": "USD",
                "destination_account_id": "payee",
                "source_account_id": "payer",
            }
        ],
        "requested_at": "2026-03-01T09:30:00.000000Z",
        "time": "2026-03-01T09:30:00.250000Z",
        "transfer_id": "t1",
    }
)


@pytest.fixture
async def receipt() -> bytes:
    log = MemoryLog([leaf_hash(RECORD)])
    note = sign_note(Checkpoint(ORIGIN, 1, log.head.root).text(), ORIGIN, PRIVATE)
    return encode_receipt(record=RECORD, index=0, proof=await build_inclusion_proof(0, 1, log), checkpoint=note)


def proven(second: int, *, after: int, transfer_id: str = "t1") -> Proven:
    moment = datetime(2026, 3, 1, 9, 30, second, tzinfo=UTC)
    return Proven(transfer_id, moment, moment.replace(second=second + after))


def test_a_receipt_proves_the_claim_and_its_times(receipt: bytes) -> None:
    found = check_receipt(CLAIM, receipt, KEYS)
    assert isinstance(found, Proven)
    assert (found.recorded_at - found.requested_at).total_seconds() == 0.25


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        (replace(CLAIM, status="blocked"), "status"),
        (replace(CLAIM, amount_minor=12_51), "amount_minor"),
        (replace(CLAIM, destination_account_id="other"), "destination"),
        (replace(CLAIM, source_account_id="other"), "source"),
        (replace(CLAIM, transfer_id="t2"), "transfer_id"),
    ],
)
def test_a_receipt_that_proves_something_else_says_what(receipt: bytes, claim: Claim, word: str) -> None:
    found = check_receipt(claim, receipt, KEYS)
    assert isinstance(found, str)
    assert word in found


def test_a_receipt_by_a_key_we_do_not_trust_proves_nothing(receipt: bytes) -> None:
    other = vkey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    assert check_receipt(CLAIM, receipt, other) == "receipt of t1: checkpoint_key_unknown"


def test_speed_counts_from_the_first_request_to_the_last_record() -> None:
    speed = measure([proven(0, after=1), proven(1, after=3), proven(9, after=9, transfer_id="other")], {"t1"})
    assert (speed.per_second, speed.p50_ms, speed.p95_ms) == (0.5, 1000.0, 3000.0)


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 21)]
    assert (quantile(values, per_cent=50), quantile(values, per_cent=95), quantile([7.0], per_cent=95)) == (10, 19, 7)
