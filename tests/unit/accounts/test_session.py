"""What tokens say and what a refresh token is worth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.accounts.domain.session import Session, access_claims, canonical_password, judge_refresh

NOW = datetime(2026, 3, 1, 9, 30, 0, 700_000, tzinfo=UTC)
FRESH = Session(
    session_id="0195-a",
    user_id="0195-b",
    family_id="0195-a",
    issued_at=NOW,
    expires_at=NOW + timedelta(days=30),
    rotated_at=None,
    revoked_at=None,
)


def test_access_claims_name_who_what_and_for_how_long() -> None:
    claims = access_claims(user_id="u", roles=frozenset({"operator", "customer"}), token_id="t", now=NOW)
    assert claims == {
        "iss": "tallystick",
        "aud": "tallystick",
        "sub": "u",
        "roles": ["customer", "operator"],
        "jti": "t",
        "iat": 1_772_357_400.7,
        "exp": 1_772_357_400 + 15 * 60,
    }


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


def test_a_password_is_the_same_on_every_keyboard() -> None:
    assert canonical_password("pa\u0308sswort") == canonical_password("pässwort")
