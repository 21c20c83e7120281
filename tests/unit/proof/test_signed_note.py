"""C2SP signed-note and tlog-checkpoint, with the published example of the reference implementation."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.merkle import EMPTY_ROOT
from libs.common.proof.signed_note import (
    NoteFault,
    NoteUnverified,
    VkeyInvalid,
    open_note,
    parse_vkey,
    parse_vkeys,
    sign_note,
    vkey,
)
from libs.common.proof.strict_base64 import decode_base64, encode_base64

# The example in the documentation of golang.org/x/mod/sumdb/note.
EXAMPLE_SEED = bytes.fromhex("810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173")
EXAMPLE_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
EXAMPLE_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
EXAMPLE_NOTE = f"{EXAMPLE_TEXT}\n— PeterNeumann {EXAMPLE_SIGNATURE}\n"

NAME = "ledger.example/0"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = [parse_vkey(vkey(NAME, PRIVATE.public_key()))]
NOTE = sign_note("one\n\ntwo €\n", NAME, PRIVATE)


def test_the_published_example_is_signed_and_opened_byte_for_byte() -> None:
    private = Ed25519PrivateKey.from_private_bytes(EXAMPLE_SEED)
    assert vkey("PeterNeumann", private.public_key()) == EXAMPLE_VKEY
    assert sign_note(EXAMPLE_TEXT, "PeterNeumann", private) == EXAMPLE_NOTE
    assert open_note(EXAMPLE_NOTE, [parse_vkey(EXAMPLE_VKEY)]) == EXAMPLE_TEXT


def test_a_text_with_empty_lines_comes_back_whole() -> None:
    assert open_note(NOTE, KEYS) == "one\n\ntwo €\n"
    assert open_note(sign_note("one\n\n", NAME, PRIVATE), KEYS) == "one\n\n"


def test_every_altered_character_is_noticed() -> None:
    for at, character in enumerate(NOTE):
        with pytest.raises(NoteUnverified):
            open_note(NOTE[:at] + ("B" if character == "A" else "A") + NOTE[at + 1 :], KEYS)


def test_an_altered_text_condemns_the_signature() -> None:
    with pytest.raises(NoteUnverified) as caught:
        open_note(NOTE.replace("two", "six"), KEYS)
    assert caught.value.fault is NoteFault.SIGNATURE_WRONG


@pytest.mark.parametrize(("name", "private"), [(NAME, STRANGER), ("other.example", PRIVATE)])
def test_a_key_not_trusted_under_this_name_is_unknown(name: str, private: Ed25519PrivateKey) -> None:
    with pytest.raises(NoteUnverified) as caught:
        open_note(sign_note("text\n", name, private), KEYS)
    assert caught.value.fault is NoteFault.KEY_UNKNOWN


def test_signatures_of_strangers_are_passed_over() -> None:
    witnessed = NOTE + sign_note("x\n", "witness.example", STRANGER).removeprefix("x\n\n")
    assert open_note(witnessed, KEYS) == "one\n\ntwo €\n"


def test_one_wrong_signature_of_a_trusted_key_condemns_the_note() -> None:
    trusted = [*KEYS, parse_vkey(vkey("witness.example", STRANGER.public_key()))]
    witnessed = NOTE + sign_note("x\n", "witness.example", STRANGER).removeprefix("x\n\n")
    with pytest.raises(NoteUnverified) as caught:
        open_note(witnessed, trusted)
    assert caught.value.fault is NoteFault.SIGNATURE_WRONG


def test_of_a_rotated_key_the_old_notes_still_open() -> None:
    text = f"{vkey(NAME, STRANGER.public_key())}\n{vkey(NAME, PRIVATE.public_key())}\n"
    assert open_note(NOTE, parse_vkeys(text)) == "one\n\ntwo €\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        NOTE[:-1],
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", ""),
        NOTE + "\n",
        NOTE + "rest\n",
        NOTE.replace("one", "o\rne"),
        NOTE.replace("one", "o\x00ne"),
        NOTE.replace("one", "o\ud800ne"),
        NOTE.replace(NAME, ""),
        NOTE.replace(NAME, "a+b"),
        NOTE.replace(NAME, "a\u00a0b"),
        "text\n\n— a AAAAAA==\n",
        "text\n\n— a AAAAAAB=\n",
        "text\n\n— a !!!!\n",
        "text\n\n" + "— a AAAAAAA=\n" * 101,
    ],
)
def test_what_is_no_signed_note_is_malformed(note: str) -> None:
    with pytest.raises(NoteUnverified) as caught:
        open_note(note, KEYS)
    assert caught.value.fault is NoteFault.MALFORMED


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "\ud800\n"])
def test_a_text_the_format_cannot_carry_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="a note's text"):
        sign_note(text, NAME, PRIVATE)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "\ud800"])
def test_a_name_the_format_cannot_carry_makes_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="a key's name"):
        vkey(name, PRIVATE.public_key())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        EXAMPLE_VKEY[:-4],
        EXAMPLE_VKEY[:-1],
        EXAMPLE_VKEY.replace("c74f20a3", "c74f20a4"),
        EXAMPLE_VKEY.replace("c74f20a3", "C74F20A3"),
        EXAMPLE_VKEY.replace("Peter", "Paul"),
        EXAMPLE_VKEY.replace("+ARpc", "+ARpd"),
        EXAMPLE_VKEY.replace("+ARpc", "+AhpC"),
        EXAMPLE_VKEY + "\n" + EXAMPLE_VKEY,
    ],
)
def test_a_damaged_key_line_is_refused(line: str) -> None:
    with pytest.raises(VkeyInvalid):
        parse_vkey(line)


def test_a_key_of_another_kind_is_refused() -> None:
    raw = PRIVATE.public_key().public_bytes_raw()
    with pytest.raises(VkeyInvalid, match="another kind"):
        parse_vkey(f"{NAME}+00000000+{encode_base64(bytes([4]) + raw)}")


def test_a_key_file_may_have_blank_lines_but_not_only_those() -> None:
    assert [key.name for key in parse_vkeys(f"\n{EXAMPLE_VKEY}\r\n\n")] == ["PeterNeumann"]
    with pytest.raises(VkeyInvalid):
        parse_vkeys("\n \n")


@pytest.mark.parametrize("text", ["QQ", "QR==", "Q Q==", "QQ==\n", "-_==", "é==="])
def test_base64_has_one_spelling(text: str) -> None:
    assert decode_base64("QQ==") == b"A"
    with pytest.raises(ValueError, match=r".+"):
        decode_base64(text)


def test_a_checkpoint_is_origin_size_and_root() -> None:
    checkpoint = Checkpoint("example.com/behind-the-sofa", 20_852_163, bytes(range(32)))
    assert checkpoint.text() == (
        "example.com/behind-the-sofa\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert Checkpoint.parse(Checkpoint("empty", 0, EMPTY_ROOT).text()).size == 0


def test_lines_that_a_later_version_adds_are_let_through() -> None:
    assert Checkpoint.parse(Checkpoint("o", 1, EMPTY_ROOT).text() + "later\n").size == 1


GOOD_ROOT = encode_base64(EMPTY_ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        f"o\n1\n{GOOD_ROOT}",
        f"\n1\n{GOOD_ROOT}\n",
        f"o\n01\n{GOOD_ROOT}\n",
        f"o\n-1\n{GOOD_ROOT}\n",
        f"o\n1.0\n{GOOD_ROOT}\n",
        f"o\n١\n{GOOD_ROOT}\n",  # noqa: RUF001 -- an Arabic digit, which int() would read
        f"o\n9007199254740992\n{GOOD_ROOT}\n",
        f"o\n{'9' * 5_000}\n{GOOD_ROOT}\n",
        "o\n1\nAAAA\n",
        f"o\n1\n{GOOD_ROOT[:-1]}\n",
        f"o\n1\n{GOOD_ROOT}\n\nx\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointMalformed):
        Checkpoint.parse(text)
