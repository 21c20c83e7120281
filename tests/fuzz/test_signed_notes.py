"""Whatever claims to be signed: the text that a trusted key signed, or a refusal; and keys that write back alike."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.signed_note import (
    NoteFault,
    NoteUnverified,
    VkeyInvalid,
    open_log_note,
    open_note,
    parse_vkey,
    sign_note,
    vkey,
)
from tests.fuzz.fuzzing import damaged_text, fuzz

NAME: Final = "ledger.example/0"
PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
LINES: Final = [vkey(NAME, PRIVATE.public_key()), vkey("witness.example", WITNESS.public_key())]
KEYS: Final = [parse_vkey(line) for line in LINES]
TEXTS: Final = [Checkpoint(NAME, 7, bytes(32)).text(), f"{NAME}\n\ntwo €\n", "\n"]
NOTES: Final = [
    *(sign_note(text, NAME, PRIVATE) for text in TEXTS),
    sign_note(TEXTS[0], NAME, PRIVATE) + sign_note(TEXTS[0], "witness.example", WITNESS).rpartition("\n\n")[2],
    sign_note(TEXTS[0], "stranger.example", WITNESS),
]


@fuzz(note=damaged_text(NOTES))
def test_a_note_is_opened_to_a_text_that_was_signed_or_refused(note: str) -> None:
    for opened in (open_note, open_log_note):
        try:
            text = opened(note, KEYS)
        except NoteUnverified as refused:
            assert refused.fault in set(NoteFault)
            assert refused.code == refused.fault
            continue
        assert text in TEXTS
        assert note.startswith(f"{text}\n")
        assert open_note(sign_note(text, NAME, PRIVATE), KEYS) == text


@fuzz(text=damaged_text(TEXTS), name=damaged_text([NAME, ""]))
def test_what_is_signed_is_opened_again_or_cannot_be_signed(text: str, name: str) -> None:
    try:
        note, key = sign_note(text, name, PRIVATE), parse_vkey(vkey(name, PRIVATE.public_key()))
    except ValueError:
        return
    assert open_note(note, [key]) == text


@fuzz(line=damaged_text(LINES))
def test_a_key_writes_back_as_the_line_it_was_read_from_or_is_refused(line: str) -> None:
    try:
        key = parse_vkey(line)
    except VkeyInvalid:
        return
    assert vkey(key.name, key.public_key) == line


@fuzz(text=damaged_text([*TEXTS, TEXTS[0] + "a further line\n"]))
def test_a_checkpoint_writes_back_as_the_lines_it_was_read_from_or_is_refused(text: str) -> None:
    try:
        checkpoint = Checkpoint.parse(text)
    except CheckpointMalformed:
        return
    assert text.startswith(checkpoint.text())
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
