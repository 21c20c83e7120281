"""What tokens say and what a refresh token is worth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.accounts.domain.session import (
    Caller,
    Proof,
    Session,
    access_claims,
    first_session,
    judge_refresh,
    next_session,
)

NOW = datetime(2026, 3, 1, 9, 30, 0, 700_000, tzinfo=UTC)
HERE, THERE = Caller("192.0.2.1", "Browser/1"), Caller("198.51.100.7", "Browser/2")
FRESH = first_session("0195-a", user_id="u", proof=Proof(NOW, frozenset({"pwd"})), caller=HERE)


def test_access_claims_name_who_what_for_how_long_and_how_he_proved_it() -> None:
    proven = replace(FRESH, proof=Proof(NOW - timedelta(minutes=1), frozenset({"pwd", "otp"})))
    claims = access_claims(session=proven, roles=frozenset({"operator", "customer"}), token_id="t", now=NOW)
    assert claims == {
        "iss": "tallystick",
        "aud": "tallystick",
        "sub": "u",
        "roles": ["customer", "operator"],
        "jti": "t",
        "iat": 1_772_357_400.7,
        "exp": 1_772_357_400 + 15 * 60,
        "sid": "0195-a",
        "auth_time": 1_772_357_400 - 60,
        "amr": ["otp", "pwd"],
    }


def test_a_refresh_proves_nothing_and_begins_nothing() -> None:
    later = NOW + timedelta(days=2)
    second = next_session("0195-c", after=FRESH, caller=THERE, now=later)
    assert (second.family_id, second.begun_at, second.proof) == ("0195-a", NOW, FRESH.proof)
    assert (second.issued_at, second.expires_at, second.caller) == (later, later + timedelta(days=30), THERE)


def test_a_fresh_refresh_token_is_rotated() -> None:
    assert judge_refresh(FRESH, NOW) == "rotate"
    assert judge_refresh(FRESH, FRESH.expires_at - timedelta(microseconds=1)) == "rotate"


def test_a_rotated_one_shows_that_it_was_copied() -> None:
    assert judge_refresh(replace(FRESH, rotated_at=NOW), NOW) == "reused"


@pytest.mark.parametrize(
    "session",
    [
        None,
        replace(FRESH, revoked_at=NOW),
        replace(FRESH, rotated_at=NOW, revoked_at=NOW),
        replace(FRESH, expires_at=NOW),
    ],
)
def test_an_unknown_revoked_or_expired_one_is_worth_nothing(session: Session | None) -> None:
    assert judge_refresh(session, NOW) == "invalid"
