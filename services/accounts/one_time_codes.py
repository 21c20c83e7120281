"""Codes of an authenticator (TOTP, RFC 6238: SHA-1, 6 digits, 30 s, as every app speaks it) and recovery codes."""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import Final

from pyotp import TOTP, random_base32
from pyotp.exceptions import OTPVerificationError

from services.accounts.domain.second_factor import RECOVERY_CODES

_ISSUER: Final = "Tallystick"
_STEPS_AROUND: Final = 1
"""Clocks of phones may be half a minute off, either way."""
_RECOVERY_BYTES: Final = 10
_GROUP: Final = 4


def new_totp_secret() -> str:
    """Return 160 random bits in base32, as authenticators take them (RFC 4226, 4)."""
    return random_base32()


def otpauth_uri(secret: str, email: str) -> str:
    """Return what an authenticator scans."""
    return TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def step_of_code(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step whose code this is, among the present one and its neighbours; None for any other code."""
    try:
        return TOTP(secret).verify_and_get_timecode(code, for_time=now.timestamp(), valid_window=_STEPS_AROUND)
    except OTPVerificationError:
        return None


def new_recovery_codes() -> list[str]:
    """Return codes of 80 random bits each: base32 in groups of four."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def recovery_code_hash(text: str) -> bytes:
    """Return what the database knows of a code, however it is typed; being random, it needs no slow hash."""
    typed = "".join(character for character in text.upper() if character.isalnum())
    return hashlib.sha256(typed.encode()).digest()


def _grouped(text: str) -> str:
    return "-".join(text[place : place + _GROUP] for place in range(0, len(text), _GROUP))
