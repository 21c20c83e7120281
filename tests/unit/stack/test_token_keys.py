"""The key that signs access tokens is changed while everything runs."""

from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from libs.common.errors import Unauthenticated
from libs.common.http.auth import TokenVerifier
from services.accounts.domain.session import Caller, Proof, first_session
from services.accounts.tokens import AccessTokens
from tallystick.stack.stack_secrets import load_or_make_keys
from tallystick.stack.token_keys import retire_token_keys, rotate_token_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = first_session("s", user_id="u", proof=Proof(NOW, frozenset({"pwd"})), caller=Caller("192.0.2.1", ""))


class Clock:
    """Seconds since 1970, moved by the test."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def issued(tokens: AccessTokens) -> str:
    return "Bearer " + tokens.issue(session=SESSION, roles=frozenset({"customer"}), now=NOW)


def key_id(bearer: str) -> object:
    return jwt.get_unverified_header(bearer.removeprefix("Bearer "))["kid"]


def test_tokens_of_both_keys_are_believed_until_the_former_is_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jwt.api_jwt.datetime", _Frozen)
    files, clock = load_or_make_keys(tmp_path), Clock()
    tokens, verifier = AccessTokens(files.access_token, files.jwks), TokenVerifier(files.jwks, now=clock)
    before = issued(tokens)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        # What is published meanwhile is not yet used, so nobody meets a key that he does not know.
        assert key_id(issued(tokens)) == key_id(before)
        waited.append(seconds)
        clock.now += seconds

    assert rotate_token_key(files, wait) == key_id(issued(tokens)) != key_id(before)
    assert waited[0] > 2.0
    after = issued(tokens)
    assert {verifier.verify(one).user_id for one in (before, after)} == {"u"}
    assert load_or_make_keys(tmp_path) == files, "a restart keeps the set"
    assert verifier.verify(before).user_id == "u"
    assert retire_token_keys(files) == 1
    clock.now += 2.1
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(before)
    assert refused.value.code == "token_invalid"
    assert verifier.verify(after).user_id == "u"


class _Frozen(datetime):
    """What the JWT library takes for now."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # the library asks for UTC alone
        return NOW
