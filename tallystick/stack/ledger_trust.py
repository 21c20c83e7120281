"""What a data folder knows of its ledger from outside the database: its keys, and the newest checkpoint seen."""

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.proof.signed_note import Vkey, VkeyInvalid, parse_vkeys, vkey
from tallystick.stack.errors import StackError
from tallystick.stack.private_files import write_private
from tallystick.stack.stack_secrets import load_or_make_secrets, write_secrets

CHECKPOINTS = "checkpoints"
AUDIT_ORIGIN = "tallystick/audit"
"""The name under which a folder's gateway seals the audit log."""


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """Return the private key that signs the folder's ledger. Raises: StackError with what to do."""
    return _private_key(signing_key_file(folder))


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise StackError(f"no key to trust: {error}; name one with --key, or a folder with --data") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StackError(f"{path} holds no Ed25519 key; name a key with --key")
    return key


def audit_vkeys(folder: Path) -> list[Vkey]:
    """Return the key that seals of the folder's audit log may bear; none before the first start of such a stack."""
    path = folder / "keys" / "audit-signing.pem"
    if not path.exists():
        return []
    return parse_vkeys(vkey(AUDIT_ORIGIN, _private_key(path).public_key()))


def signing_key_file(folder: Path) -> Path:
    """Return where that key stands."""
    return folder / "keys" / "ledger-signing.pem"


def trusted_vkeys(folder: Path) -> list[Vkey]:
    """Return the keys that checkpoints of the folder's ledger may bear: its own, then the retired ones.

    Raises: StackError with what to do.
    """
    own = vkey(load_or_make_secrets(folder).ledger_origin, signing_key(folder).public_key())
    retired = retired_vkeys_file(folder)
    try:
        return parse_vkeys(f"{own}\n{retired.read_text() if retired.exists() else ''}")
    except (UnicodeDecodeError, VkeyInvalid) as error:
        raise StackError(f"{retired} cannot be read: {error}; one vkey a line is wanted") from error


def retired_vkeys_file(folder: Path) -> Path:
    """Return where the public keys stand that signed before: one vkey a line, newest first."""
    return folder / "keys" / "ledger-retired.vkeys"


def rename_origin(folder: Path, origin: str) -> None:
    """Let the folder's ledger sign under this name from its next start on; under the old one it stays trusted."""
    secrets = load_or_make_secrets(folder)
    retired = retired_vkeys_file(folder)
    line = vkey(secrets.ledger_origin, signing_key(folder).public_key())
    known = retired.read_text() if retired.exists() else ""
    if line not in known.splitlines():
        write_private(retired, f"{line}\n{known}")
    write_secrets(folder, replace(secrets, ledger_origin=origin))
