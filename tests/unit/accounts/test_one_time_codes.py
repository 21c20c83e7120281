"""Codes of authenticators, and recovery codes."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from services.accounts.one_time_codes import (
    new_recovery_codes,
    new_totp_secret,
    otpauth_uri,
    recovery_code_hash,
    step_of_code,
)

# RFC 6238, appendix B, with the last six of its eight digits: SHA-1, seed "12345678901234567890".
SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_the_examples_of_the_rfc_are_the_codes_of_their_step(seconds: int, code: str) -> None:
    assert step_of_code(SECRET, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize(("off_seconds", "fits"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_a_clock_may_be_one_step_off(off_seconds: int, *, fits: bool) -> None:
    now = datetime.fromtimestamp(1_111_111_109, UTC)
    assert (step_of_code(SECRET, "081804", now + timedelta(seconds=off_seconds)) == 37_037_036) is fits


def test_a_secret_is_long_and_an_authenticator_can_scan_it() -> None:
    secret = new_totp_secret()
    assert len(base64.b32decode(secret)) == 20
    assert otpauth_uri(secret, "ada@example.com") == (
        f"otpauth://totp/Tallystick:ada%40example.com?secret={secret}&issuer=Tallystick"
    )


def test_ten_recovery_codes_of_eighty_bits_are_known_however_they_are_typed() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(base64.b32decode(code.replace("-", ""))) == 10 for code in codes)
    typed = codes[0].lower().replace("-", " ")
    assert recovery_code_hash(typed) == recovery_code_hash(codes[0]) != recovery_code_hash(codes[1])
