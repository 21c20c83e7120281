"""Only our own, living tokens pass; what was remembered is forgotten when it expires or its key leaves."""

import json
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.errors import Forbidden, Unauthenticated
from libs.common.http.auth import TokenVerifier
from libs.common.http.revocations import Revocations
from tallystick.stack.jwks import key_set


@dataclass
class Issuer:
    """Signs tokens with a key of its own."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def jwks(self) -> dict[str, Any]:
        return dict(key_set(self.key.public_key()))

    def token(self, *, kid: str | None = None, without: str = "", **changes: Any) -> str:
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": "tallystick",
            "aud": "tallystick",
            "sub": "ada",
            "jti": "t1",
            "iat": now,
            "exp": now + 600,
            "roles": ["customer"],
        } | changes
        claims.pop(without, None)
        headers = {"kid": kid or self.jwks["keys"][0]["kid"]}
        return "Bearer " + jwt.encode(claims, self.key, algorithm="EdDSA", headers=headers)


@dataclass
class Watch:
    """A clock that the test moves."""

    seconds: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def jwks_file(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(issuer.jwks))
    return path


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def revocations() -> Revocations:
    return Revocations()


@pytest.fixture
def verifier(jwks_file: Path, watch: Watch, revocations: Revocations) -> TokenVerifier:
    return TokenVerifier(jwks_file, revocations, now=watch)


def code_of(verify: Callable[[str | None], object], authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        verify(authorization)
    return refused.value.code


def unsigned(header: dict[str, object], claims: str) -> str:
    def encode(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    return f"Bearer {encode(json.dumps(header).encode())}.{claims}."


def test_our_own_token_names_its_user_and_roles(verifier: TokenVerifier, issuer: Issuer) -> None:
    principal = verifier.verify(issuer.token(roles=["customer", "operator"]))
    assert (principal.user_id, principal.token_id) == ("ada", "t1")
    assert principal.roles == {"customer", "operator"}
    assert principal.is_staff()
    assert not verifier.verify(issuer.token(jti="t2")).is_staff()


def test_no_token_is_not_the_same_as_a_wrong_one(verifier: TokenVerifier) -> None:
    assert code_of(verifier.verify, None) == "token_missing"
    assert code_of(verifier.verify, "") == "token_invalid"


def test_an_expired_token_says_so(verifier: TokenVerifier, issuer: Issuer) -> None:
    assert code_of(verifier.verify, issuer.token(exp=int(time.time()) - 1)) == "token_expired"


def test_a_token_of_a_clock_that_is_ahead_of_ours_is_taken(verifier: TokenVerifier, issuer: Issuer) -> None:
    assert verifier.verify(issuer.token(iat=int(time.time()) + 90)).user_id == "ada"


def test_a_token_signed_by_somebody_else_is_refused_also_under_our_key_id(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    assert code_of(verifier.verify, Issuer().token(kid=issuer.jwks["keys"][0]["kid"])) == "token_invalid"


def test_a_token_with_another_body_under_a_good_signature_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")
    _, other_body, _ = issuer.token(roles=["admin"]).split(".")
    assert code_of(verifier.verify, f"{header}.{other_body}.{signature}") == "token_invalid"


def test_an_unsigned_token_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    claims = issuer.token().split(".")[1]
    kid = issuer.jwks["keys"][0]["kid"]
    assert code_of(verifier.verify, unsigned({"alg": "none", "kid": kid}, claims)) == "token_invalid"


def test_the_public_key_is_no_shared_secret(verifier: TokenVerifier, issuer: Issuer) -> None:
    key = issuer.jwks["keys"][0]
    forged = jwt.encode({"sub": "ada"}, key["x"] + "=" * 40, algorithm="HS256", headers={"kid": key["kid"]})
    assert code_of(verifier.verify, f"Bearer {forged}") == "token_invalid"


@pytest.mark.parametrize("changes", [{"aud": "another"}, {"iss": "another"}, {"roles": ["root"]}, {"roles": "admin"}])
def test_a_token_for_or_by_another_or_with_unknown_roles_is_refused(
    verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert code_of(verifier.verify, issuer.token(**changes)) == "token_invalid"


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "jti", "aud", "iss", "roles"])
def test_a_token_without_one_of_its_claims_is_refused(verifier: TokenVerifier, issuer: Issuer, claim: str) -> None:
    assert code_of(verifier.verify, issuer.token(without=claim)) == "token_invalid"


def test_a_token_under_an_unknown_key_id_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    assert code_of(verifier.verify, issuer.token(kid="nobody's")) == "token_invalid"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer \xff\xff.\xff.\xff",
        "Bearer " + "a" * 5000,
        unsigned({"alg": "EdDSA", "kid": ["a", "list"]}, "e30"),
        unsigned({"alg": "EdDSA"}, "e30"),
        "Bearer " + urlsafe_b64encode(b"[" * 3000).decode() + ".e30.AA",
    ],
)
def test_whatever_else_is_sent_is_refused_without_a_crash(verifier: TokenVerifier, authorization: str) -> None:
    assert code_of(verifier.verify, authorization) == "token_invalid"


def test_a_remembered_token_expires_all_the_same(verifier: TokenVerifier, issuer: Issuer, watch: Watch) -> None:
    token = issuer.token()
    verifier.verify(token)
    watch.seconds += 599
    verifier.verify(token)
    watch.seconds += 2
    assert code_of(verifier.verify, token) == "token_expired"


def test_keys_rotate_by_changing_the_file(
    verifier: TokenVerifier, issuer: Issuer, watch: Watch, jwks_file: Path
) -> None:
    old, successor = issuer.token(), Issuer()
    verifier.verify(old)
    assert code_of(verifier.verify, successor.token()) == "token_invalid"

    jwks_file.write_text(json.dumps({"keys": [*successor.jwks["keys"], *issuer.jwks["keys"]]}))
    os.utime(jwks_file, ns=(1, 1))
    watch.seconds += 3
    verifier.verify(successor.token())
    verifier.verify(old)

    jwks_file.write_text(json.dumps(successor.jwks))
    os.utime(jwks_file, ns=(2, 2))
    watch.seconds += 3
    assert code_of(verifier.verify, old) == "token_invalid"  # remembered, and forgotten with its key


def test_keys_that_left_end_also_while_the_clock_is_set_back(
    verifier: TokenVerifier, issuer: Issuer, watch: Watch, jwks_file: Path
) -> None:
    old = issuer.token()
    verifier.verify(old)
    jwks_file.write_text(json.dumps(Issuer().jwks))
    os.utime(jwks_file, ns=(1, 1))
    watch.seconds -= 3_600
    assert code_of(verifier.verify, old) == "token_invalid"


def revoked(at: float, *, user: str = "ada", session: str = "") -> CredentialsRevoked:
    moment = to_rfc3339(datetime.fromtimestamp(at, UTC))
    return CredentialsRevoked(user_id=user, session_id=session, key_id="", occurred_at=moment)


def test_a_token_says_when_and_how_its_user_proved_himself(verifier: TokenVerifier, issuer: Issuer) -> None:
    alone = verifier.verify(issuer.token(iat=1_000, auth_time=900, sid="s1", amr=["pwd"]))
    assert (alone.issued_at, alone.authenticated_at, alone.session_id) == (1_000, 900, "s1")
    assert (alone.second_factor_at, alone.scopes, alone.is_machine) == (None, None, False)
    assert verifier.verify(issuer.token(auth_time=900, amr=["pwd", "otp"])).second_factor_at == 900


@pytest.mark.parametrize("changes", [{"amr": "otp"}, {"auth_time": "yesterday"}, {"iat": None}])
def test_claims_about_the_log_in_that_cannot_be_read_are_refused(
    verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert code_of(verifier.verify, issuer.token(**changes)) == "token_invalid"


def test_a_revocation_ends_remembered_tokens_of_that_user_and_nobody_else_s(
    verifier: TokenVerifier, issuer: Issuer, revocations: Revocations
) -> None:
    mine, his = issuer.token(iat=1_000), issuer.token(iat=1_000, sub="grace")
    verifier.verify(mine)
    verifier.verify(his)
    revocations.take(revoked(1_000))
    assert code_of(verifier.verify, mine) == "token_revoked"
    verifier.verify(his)


def test_what_is_issued_after_a_revocation_stands(
    verifier: TokenVerifier, issuer: Issuer, revocations: Revocations
) -> None:
    revocations.take(revoked(1_000.25))
    revocations.take(revoked(1_000.125))  # heard again, out of order
    verifier.verify(issuer.token(iat=1_000.5))
    assert code_of(verifier.verify, issuer.token(iat=1_000.2)) == "token_revoked"


def test_a_revoked_log_in_ends_and_the_user_s_others_go_on(
    verifier: TokenVerifier, issuer: Issuer, revocations: Revocations
) -> None:
    revocations.take(revoked(1_000, session="s1"))
    assert code_of(verifier.verify, issuer.token(iat=2_000, sid="s1")) == "token_revoked"
    verifier.verify(issuer.token(iat=500, sid="s2"))


def test_more_revocations_than_are_remembered_refuse_more_and_never_less(
    verifier: TokenVerifier, issuer: Issuer, revocations: Revocations
) -> None:
    for number in range(100_001):
        revocations.take(revoked(1_000 + number / 1000, session=f"s{number}"))
    assert code_of(verifier.verify, issuer.token(iat=900, sid="s0")) == "token_revoked"
    assert code_of(verifier.verify, issuer.token(iat=900, sid="another")) == "token_revoked"
    verifier.verify(issuer.token(iat=1_000.001, sid="another"))


def test_a_revocation_is_forgotten_when_every_token_of_its_time_has_run_out(
    verifier: TokenVerifier, issuer: Issuer, revocations: Revocations
) -> None:
    revocations.take(revoked(1_000))
    revocations.take(revoked(1_000 + 15 * 60, user="grace"))
    assert code_of(verifier.verify, issuer.token(iat=900)) == "token_revoked"
    revocations.take(revoked(1_000 + 17 * 60, user="grace"))
    verifier.verify(issuer.token(iat=900))


@pytest.mark.parametrize(
    ("max_age", "claims", "code"),
    [
        (0, {"amr": ["pwd"]}, ""),
        (300, {"amr": ["pwd"], "auth_time": 2_000}, "second_factor_missing"),
        (300, {"amr": ["pwd", "otp"], "auth_time": 1_700}, ""),
        (300, {"amr": ["pwd", "otp"], "auth_time": 1_699}, "second_factor_stale"),
    ],
)
def test_a_second_factor_is_asked_for_and_may_be_too_long_ago(
    jwks_file: Path, issuer: Issuer, max_age: int, claims: dict[str, Any], code: str
) -> None:
    verifier = TokenVerifier(jwks_file, now=lambda: 2_000.0, max_auth_age_seconds=max_age)
    principal = verifier.verify(issuer.token(iat=1_000, **claims))
    if not code:
        verifier.require_fresh(principal)
        return
    with pytest.raises(Forbidden) as refused:
        verifier.require_fresh(principal)
    assert refused.value.code == code
