"""Changing the key that signs access tokens, while everything runs and nobody is logged out."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tallystick.stack.errors import StackError
from tallystick.stack.jwks import key_set
from tallystick.stack.private_files import write_private
from tallystick.stack.stack_secrets import KeyFiles, new_private_key_pem

_KNOWN_EVERYWHERE_SECONDS: Final = 3.0
"""Every process reads the key set again within two."""


def rotate_token_key(files: KeyFiles, wait: Callable[[float], None] = time.sleep) -> str:
    """Publish a new key, wait until every process knows it, and let it sign; return its id.

    The one before goes on verifying, since tokens that it signed live for 15 minutes. Raises: StackError.
    """
    pem = new_private_key_pem()
    [fresh] = _published(pem)
    write_private(files.jwks, json.dumps({"keys": [fresh, *_key_set(files)]}))
    wait(_KNOWN_EVERYWHERE_SECONDS)
    write_private(files.access_token, pem)
    return str(fresh["kid"])


def retire_token_keys(files: KeyFiles) -> int:
    """Take back every key but the one that signs, and return how many. Their tokens end within two seconds."""
    signing = _published(files.access_token.read_text())
    retired = [key for key in _key_set(files) if key["kid"] != signing[0]["kid"]]
    write_private(files.jwks, json.dumps({"keys": signing}))
    return len(retired)


def _published(pem: str) -> list[dict[str, str]]:
    key = load_pem_private_key(pem.encode("ascii"), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise StackError("the key that signs access tokens is no Ed25519 key")
    return key_set(key.public_key())["keys"]


def _key_set(files: KeyFiles) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(files.jwks.read_text())["keys"]
    return keys
