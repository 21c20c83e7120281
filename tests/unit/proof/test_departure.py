"""What a log says when it goes on under another name."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.departure import Departure, DepartureMalformed
from libs.common.proof.signed_note import open_log_note, parse_vkeys, sign_note, vkey

ORIGIN = "ledger.example/0"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = parse_vkeys(vkey(ORIGIN, PRIVATE.public_key()))
GOOD = Departure(
    origin=f"{ORIGIN}/origin-2",
    floor=Checkpoint(ORIGIN, 9, bytes(range(32))),
    shard=0,
    reason="the disk burned",
    actor="ops",
    started_at="2026-03-01T09:30:00.000000Z",
)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_a_departure_is_signed_and_read_back_whatever_the_reason(reason: str) -> None:
    said = Departure(GOOD.origin, GOOD.floor, GOOD.shard, reason, GOOD.actor, GOOD.started_at)
    note = sign_note(said.text(), ORIGIN, PRIVATE)
    assert Departure.parse(open_log_note(note, KEYS)) == said


def test_a_departure_never_passes_for_a_checkpoint_nor_the_other_way_round() -> None:
    with pytest.raises(CheckpointMalformed):
        Checkpoint.parse(GOOD.text())
    with pytest.raises(DepartureMalformed):
        Departure.parse(GOOD.floor.text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.text()[:-1],
        GOOD.text() + "more\n",
        GOOD.text().replace("new-origin\n", "new-home\n"),
        GOOD.text().replace("{", "{ "),
        GOOD.text().replace('"shard":0', '"shard":"0"'),
        GOOD.text().replace('"shard":0', '"shard":true'),
        GOOD.text().replace('"shard":0,', ""),
        GOOD.text().replace("\\n9\\n", "\\nnine\\n"),
        GOOD.text().replace(f"{ORIGIN}\n", "other.example\n", 1),
        f"{ORIGIN}\nnew-origin\n[]\n",
        f"{ORIGIN}\nnew-origin\n\ud800\n",
    ],
)
def test_what_is_no_departure_is_refused(text: str) -> None:
    with pytest.raises(DepartureMalformed):
        Departure.parse(text)
