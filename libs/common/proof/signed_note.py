"""Text signed with Ed25519, in the format of C2SP signed-note.

Trust comes from the caller: a note is worth nothing until a key that he brought has verified it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.common.errors import Malformed
from libs.common.proof.strict_base64 import decode_base64, encode_base64

_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_SIGNATURE_MARK: Final = "— "  # an em dash, as the format wants
_SIGNATURES_MAX: Final = 100


class NoteFault(StrEnum):
    """Why a note proves nothing."""

    MALFORMED = "note_malformed"
    KEY_UNKNOWN = "note_key_unknown"
    SIGNATURE_WRONG = "note_signature_wrong"


class NoteUnverified(Malformed):
    """The note must not be believed; the detail says why."""

    def __init__(self, fault: NoteFault, reason: str) -> None:
        """Keep the fault as it is too, for callers with faults of their own."""
        super().__init__(fault, reason)
        self.fault = fault


class VkeyInvalid(ValueError):
    """The text is no verifier key that this code can use."""


@dataclass(frozen=True)
class Vkey:
    """A trusted key under its name. Name and id together say which key a signature claims to be from."""

    name: str
    key_id: bytes
    public_key: Ed25519PublicKey

    def has_signed(self, text: str, signature: bytes) -> bool:
        """Tell whether the signature over the text is this key's."""
        try:
            self.public_key.verify(signature, text.encode("utf-8"))
        except InvalidSignature:
            return False
        return True


def vkey(name: str, public_key: Ed25519PublicKey) -> str:
    """Return the line by which verifiers know the key: name+id+key. Raises: ValueError for an unusable name."""
    _check_name(name)
    raw = public_key.public_bytes_raw()
    return f"{name}+{_key_id(name, raw).hex()}+{encode_base64(_ED25519 + raw)}"


def parse_vkey(line: str) -> Vkey:
    """Return the key of one vkey line.

    Raises: VkeyInvalid when it is malformed, no Ed25519 key, or its id is not that of its name and key.
    """
    # Base64 may contain plus signs, names and ids may not.
    name, _, rest = line.partition("+")
    id_hex, _, encoded = rest.partition("+")
    try:
        _check_name(name)
        key = decode_base64(encoded)
        public_key = Ed25519PublicKey.from_public_bytes(key[1:])
    except ValueError as error:
        raise VkeyInvalid(f"not a verifier key (name+id+key): {error}") from error
    if key[:1] != _ED25519:
        raise VkeyInvalid("the key is of another kind than Ed25519")
    key_id = _key_id(name, key[1:])
    if id_hex != key_id.hex():
        raise VkeyInvalid("the id does not belong to this name and key: the line was altered or cut")
    return Vkey(name, key_id, public_key)


def parse_vkeys(text: str) -> list[Vkey]:
    """Return the keys of a text with one vkey a line; blank lines count for nothing. Raises: VkeyInvalid."""
    keys = [parse_vkey(line.strip()) for line in text.split("\n") if line.strip()]
    if not keys:
        raise VkeyInvalid("there is no key in it")
    return keys


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """Return the text with a signature under it. Raises: ValueError for a text or name the format cannot carry."""
    _check_name(name)
    if not text.endswith("\n") or _has_control_characters(text):
        raise ValueError("a note's text ends with a newline and holds no other control character")
    signature = private_key.sign(text.encode("utf-8"))
    key_id = _key_id(name, private_key.public_key().public_bytes_raw())
    return f"{text}\n{_SIGNATURE_MARK}{name} {encode_base64(key_id + signature)}\n"


def open_note(note: str, vkeys: Sequence[Vkey]) -> str:
    """Return the text of a note that at least one of the keys has signed.

    Signatures by other keys are ignored, as rotation and witnesses need; a wrong one by a trusted key condemns
    the note whatever else stands under it. Raises: NoteUnverified.
    """
    text, signatures = _split_note(note)
    verified = False
    for name, signature in signatures:
        claimed = [key for key in vkeys if (key.name, key.key_id) == (name, signature[:_KEY_ID_BYTES])]
        if not claimed:
            continue
        if not any(key.has_signed(text, signature[_KEY_ID_BYTES:]) for key in claimed):
            raise NoteUnverified(NoteFault.SIGNATURE_WRONG, "the signature of a trusted key does not fit the text")
        verified = True
    if not verified:
        raise NoteUnverified(NoteFault.KEY_UNKNOWN, "none of the trusted keys has signed it")
    return text


def open_log_note(note: str, vkeys: Sequence[Vkey]) -> str:
    """Return the text of a note that the log named in its first line has signed with one of the keys.

    A log's key bears the log's name (C2SP tlog-checkpoint), so among the trusted keys of several logs none can speak
    for another. Raises: NoteUnverified.
    """
    name = note.partition("\n")[0]
    return open_note(note, [key for key in vkeys if key.name == name])


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text and (key name, key id + signature) of each signature line."""
    text, gap, block = note.rpartition("\n\n")
    if not gap or not block.endswith("\n") or _has_control_characters(note):
        raise NoteUnverified(NoteFault.MALFORMED, "it is not a text, an empty line and signature lines")
    lines = block[:-1].split("\n")
    if len(lines) > _SIGNATURES_MAX:
        raise NoteUnverified(NoteFault.MALFORMED, f"it has more than {_SIGNATURES_MAX} signatures")
    return f"{text}\n", [_parse_signature(line) for line in lines]


def _parse_signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
    try:
        _check_name(name)
        signature = decode_base64(encoded)
    except ValueError as error:
        raise NoteUnverified(NoteFault.MALFORMED, "a signature line cannot be read") from error
    if not line.startswith(_SIGNATURE_MARK) or len(signature) <= _KEY_ID_BYTES:
        raise NoteUnverified(NoteFault.MALFORMED, "a signature line cannot be read")
    return name, signature


def _key_id(name: str, raw_public_key: bytes) -> bytes:
    return sha256(name.encode("utf-8") + b"\n" + _ED25519 + raw_public_key).digest()[:_KEY_ID_BYTES]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name) or _has_control_characters(name):
        raise ValueError("a key's name is not empty and holds no space, plus sign or control character")


def _has_control_characters(text: str) -> bool:
    """Tell whether the text holds what no note may: control characters but newline, or what is no UTF-8."""
    return any((character < " " and character != "\n") or "\ud800" <= character <= "\udfff" for character in text)
