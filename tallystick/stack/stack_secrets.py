"""What the stack makes up once and keeps: passwords, the internal token, key pairs, the ledger's origin."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tallystick.stack.errors import StackError
from tallystick.stack.jwks import key_set
from tallystick.stack.private_files import write_private

SERVICES = ("accounts", "kyc", "ledger", "fraud", "gateway")
ADMIN_EMAIL = "admin@tallystick.example"


@dataclass(frozen=True)
class StackSecrets:
    """The made-up values of one data folder."""

    role_passwords: dict[str, str]
    """Service name → the password of its database role `tallystick_<service>`."""
    internal_token: str
    """Proves to a service that a sister calls."""
    admin_email: str
    admin_password: str
    ledger_origin: str
    """The name under which the ledger signs checkpoints; it stays with the journal for ever."""


@dataclass(frozen=True)
class KeyFiles:
    """Where the keys of one data folder lie, mode 0600: pairs as Ed25519, PKCS#8 PEM; the key set is public."""

    ledger_signing: Path
    ledger_retired: Path
    """Public keys that signed before, one C2SP vkey a line; a new folder has none."""
    audit_signing: Path
    access_token: Path
    jwks: Path
    accounts_master: Path
    kyc_master: Path
    """Master keys that seal personal data, base64, one a line; the first seals."""
    webhooks: Path
    """A Fernet key, which encrypts the secrets of webhooks."""
    metrics: Path
    """A token as text, which whoever collects metrics shows."""


def load_or_make_secrets(folder: Path) -> StackSecrets:
    """Return the folder's secrets, made on first use and kept in `secrets.json`. Raises: StackError if unreadable."""
    path = folder / "secrets.json"
    if path.exists():
        try:
            return StackSecrets(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise StackError(f"{path} cannot be read ({error}); restore it, or move {folder} away") from error
    made = StackSecrets(
        role_passwords={name: secrets.token_hex(24) for name in SERVICES},
        internal_token=secrets.token_urlsafe(32),
        admin_email=ADMIN_EMAIL,
        admin_password=secrets.token_urlsafe(18),
        ledger_origin=f"tallystick.local/{secrets.token_hex(4)}",
    )
    write_secrets(folder, made)
    return made


def write_secrets(folder: Path, kept: StackSecrets) -> None:
    """Keep these as the folder's secrets, in one step."""
    write_private(folder / "secrets.json", json.dumps(asdict(kept), indent=2))


def load_or_make_keys(folder: Path) -> KeyFiles:
    """Return the folder's key files; a private key is made on first use, the public key set follows from it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    files = KeyFiles(
        ledger_signing=folder / "ledger-signing.pem",
        ledger_retired=folder / "ledger-retired.vkeys",
        audit_signing=folder / "audit-signing.pem",
        access_token=folder / "access-token.pem",
        jwks=folder / "jwks.json",
        accounts_master=folder / "accounts-master.keys",
        kyc_master=folder / "kyc-master.keys",
        webhooks=folder / "webhooks.keys",
        metrics=folder / "metrics.token",
    )
    # Accounts' last key only finds e-mails and wraps nothing, so that every key that wraps can be replaced.
    for path, keys in ((files.accounts_master, 2), (files.kyc_master, 1)):
        if not path.exists():
            write_private(path, "".join(f"{base64.b64encode(secrets.token_bytes(32)).decode()}\n" for _ in range(keys)))
    if not files.webhooks.exists():
        write_private(files.webhooks, Fernet.generate_key().decode())
    if not files.metrics.exists():
        write_private(files.metrics, secrets.token_urlsafe(32))
    files.ledger_retired.touch(mode=0o600, exist_ok=True)
    for path in (files.ledger_signing, files.audit_signing, files.access_token):
        if not path.exists():
            write_private(path, new_private_key_pem())
    access_token_key = load_pem_private_key(files.access_token.read_bytes(), password=None)
    if not isinstance(access_token_key, Ed25519PrivateKey):
        raise StackError(f"{files.access_token} holds no Ed25519 key; remove it and a new one is made")
    published = key_set(access_token_key.public_key())
    # A set that names the key may name those before it, too, whose tokens have not run out.
    if not files.jwks.exists() or published["keys"][0]["x"] not in files.jwks.read_text():
        write_private(files.jwks, json.dumps(published))
    return files


def new_private_key_pem() -> str:
    """Return a fresh Ed25519 key, PKCS#8 PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
