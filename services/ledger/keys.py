"""The keys a process of the ledger starts with: the one that signs, and those that signed before."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.proof.signed_note import parse_vkeys, vkey
from services.ledger.settings import LedgerSettings


def read_signing_key(settings: LedgerSettings) -> Ed25519PrivateKey:
    """Return the key that signs checkpoints. Raises: ValueError or OSError, which end the start with their reason."""
    key = load_pem_private_key(settings.signing_key_file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{settings.signing_key_file} holds no Ed25519 key")
    return key


def read_vkeys(settings: LedgerSettings, signing_key: Ed25519PrivateKey) -> str:
    """Return the ledger's public keys, one vkey a line, newest first: the signing key's, then the retired ones.

    Raises: VkeyInvalid or OSError, which end the start with their reason.
    """
    own = vkey(settings.origin, signing_key.public_key())
    retired = settings.retired_vkeys_file.read_text() if settings.retired_vkeys_file else ""
    lines = dict.fromkeys([own, *(line.strip() for line in retired.splitlines() if line.strip())])
    parse_vkeys("\n".join(lines))
    return "".join(f"{line}\n" for line in lines)
