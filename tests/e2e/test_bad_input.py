"""Whatever is sent, the answer is a problem document with its code, and nothing is stored."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.clock import unix_seconds
from libs.common.ids import new_id, system_account_id
from tests.e2e.api_client import Api, Person, code_of, new_key, problem, transfer, wait_until

Body = Callable[[Person, Person], bytes]


@pytest.fixture(autouse=True)
def nothing_is_stored(api: Api) -> Iterator[None]:
    """Hold every test of this module to it."""
    before = api.rows()
    failures = api.logs().count("request_failed")
    yield
    assert api.rows() == before
    assert api.logs().count("request_failed") == failures, "an exception reached the edge"


def changed(**changes: Any) -> Body:
    return lambda alice, bob: json.dumps(transfer(alice, bob, **changes)).encode()


def without(name: str) -> Body:
    return lambda alice, bob: json.dumps({k: v for k, v in transfer(alice, bob).items() if k != name}).encode()


def amount(text: bytes) -> Body:
    """Put this text where the amount stands, for what `json.dumps` would not write."""
    here = b'"amount_minor": 987'  # with its name: an id may hold the same digits
    return lambda alice, bob: json.dumps(transfer(alice, bob, 987)).encode().replace(here, here.replace(b"987", text))


def text(escaped: bytes) -> Body:
    return lambda alice, bob: json.dumps(transfer(alice, bob, description="987X")).encode().replace(b"987X", escaped)


def legs(count: int, **beside: Any) -> Body:
    return lambda alice, bob: json.dumps({"legs": [transfer(alice, bob)] * count, **beside}).encode()


def raw(content: bytes) -> Body:
    return lambda _alice, _bob: content


BAD_BODIES: dict[str, tuple[Body, int, str]] = {
    "nothing": (raw(b""), 400, "malformed_json"),
    "no JSON": (raw(b'{"source_account_id": '), 400, "malformed_json"),
    "two documents": (raw(b"{}{}"), 400, "malformed_json"),
    "a byte order mark": (raw(b"\xef\xbb\xbf{}"), 400, "malformed_json"),
    "UTF-16": (raw('{"asset":"USD"}'.encode("utf-16")), 400, "malformed_json"),
    "bytes that are no UTF-8": (text(b"\xff\xfe"), 400, "malformed_json"),
    "a lone surrogate": (text(b"\\ud800"), 400, "malformed_json"),
    "surrogates in the wrong order": (text(b"\\udc00\\ud800"), 400, "malformed_json"),
    "NaN": (amount(b"NaN"), 400, "malformed_json"),
    "Infinity": (amount(b"-Infinity"), 400, "malformed_json"),
    "deeply nested lists": (raw(b"[" * 100_000), 422, "invalid_request"),
    "deeply nested legs": (raw(b'{"legs":' + b"[" * 100_000), 422, "invalid_request"),
    "deeply nested metadata": (raw(b'{"metadata":' + b'{"a":' * 100_000), 422, "invalid_request"),
    "a list": (raw(b"[]"), 422, "invalid_request"),
    "a string": (raw(b'"transfer"'), 422, "invalid_request"),
    "null": (raw(b"null"), 422, "invalid_request"),
    "an empty object": (raw(b"{}"), 422, "legs_or_single"),
    "a missing source": (without("source_account_id"), 422, "legs_or_single"),
    "a missing amount": (without("amount_minor"), 422, "legs_or_single"),
    "a missing asset": (without("asset"), 422, "legs_or_single"),
    "an unknown field": (changed(amount=5), 422, "invalid_request"),
    "an unknown field of 900 kB": (changed(**{"x" * 900_000: 1}), 422, "invalid_request"),
    "an amount as text": (changed(amount_minor="5"), 422, "invalid_request"),
    "a float": (amount(b"5.5"), 422, "number_not_whole"),
    "a whole float": (amount(b"5.0"), 422, "number_not_whole"),
    "an exponent": (amount(b"1e2"), 422, "number_not_whole"),
    "a float beyond every float": (amount(b"1e999"), 422, "invalid_request"),
    "true for an amount": (changed(amount_minor=True), 422, "invalid_request"),
    "zero": (changed(amount_minor=0), 422, "invalid_request"),
    "a negative amount": (changed(amount_minor=-1), 422, "invalid_request"),
    "2^53": (changed(amount_minor=2**53), 422, "invalid_request"),
    "10^30": (changed(amount_minor=10**30), 422, "invalid_request"),
    "a number of 40,000 digits": (amount(b"9" * 40_000), 422, "invalid_request"),
    "a description of 40 kB": (changed(description="x" * 40_000), 422, "invalid_request"),
    "NUL in the description": (changed(description="a\x00b"), 422, "invalid_request"),
    "a line break in the description": (changed(description="a\nb"), 422, "invalid_request"),
    "NUL in the metadata's name": (changed(metadata={"a\x00": "b"}), 422, "invalid_request"),
    "metadata of 40 kB": (changed(metadata={"a": "x" * 40_000}), 422, "invalid_request"),
    "metadata that is no text": (changed(metadata={"a": 1}), 422, "invalid_request"),
    "too many members of metadata": (changed(metadata={str(n): "" for n in range(21)}), 422, "invalid_request"),
    "an account id of 40 kB": (changed(destination_account_id="x" * 40_000), 422, "invalid_request"),
    "an upper-case account id": (changed(destination_account_id=new_id().upper()), 422, "invalid_request"),
    "a line break after an id": (changed(destination_account_id=new_id()[:-1] + "\n"), 422, "invalid_request"),
    "an unknown asset": (changed(asset="XYZ"), 422, "asset_unknown"),
    "an asset in lower case": (changed(asset="usd"), 422, "asset_unknown"),
    "another asset than the accounts'": (changed(asset="EUR"), 422, "asset_mismatch"),
    "one account on both sides": (
        lambda alice, _: json.dumps(transfer(alice, alice)).encode(),
        422,
        "same_account",
    ),
    "a foreign source": (lambda alice, bob: json.dumps(transfer(bob, alice)).encode(), 403, "source_account_not_yours"),
    "an unknown source": (changed(source_account_id=new_id()), 403, "source_account_not_yours"),
    "the reserve as source": (
        changed(source_account_id=system_account_id("USD", "SYS-RESERVE-0001")),
        403,
        "source_account_not_yours",
    ),
    "no legs": (raw(b'{"legs":[]}'), 422, "invalid_request"),
    "101 legs": (legs(101), 422, "invalid_request"),
    "legs and a single transfer": (legs(1, asset="USD"), 422, "legs_or_single"),
    "a leg with a description": (raw(b'{"legs":[{"description":""}]}'), 422, "invalid_request"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_with_its_code(name: str, api: Api, alice: Person, bob: Person) -> None:
    body, status, code = BAD_BODIES[name]
    problem(api.post("/transfers", content=body(alice, bob), token=alice.token, key=new_key()), status, code)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_invalid"),
        ('""', "idempotency_key_invalid"),
        ("k" * 256, "idempotency_key_invalid"),
        ("k" * 40_000, "idempotency_key_invalid"),
        ("a key", "idempotency_key_invalid"),
        ("kéy", "idempotency_key_invalid"),
    ],
    ids=["missing", "empty", "empty quotes", "256 characters", "40 kB", "space", "not ASCII"],
)
def test_a_bad_idempotency_key_is_refused(key: str | None, code: str, api: Api, alice: Person, bob: Person) -> None:
    headers = [(b"Authorization", f"Bearer {alice.token}".encode())]
    if key is not None:
        headers.append((b"Idempotency-Key", key.encode("latin-1")))
    problem(api.http.post("/api/v1/transfers", json=transfer(alice, bob), headers=headers), 400, code)


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def bad_tokens(api: Api, alice: Person) -> dict[str, tuple[str, str]]:
    """Return name → (Authorization, expected code)."""
    claims = jwt.decode(alice.token, options={"verify_signature": False})
    key_id = jwt.get_unverified_header(alice.token)["kid"]
    ours: Any = load_pem_private_key((api.folder / "keys" / "access-token.pem").read_bytes(), None)
    public = json.loads((api.folder / "keys" / "jwks.json").read_text())["keys"][0]["x"]
    header, payload, signature = alice.token.split(".")

    def signed(key: Any, algorithm: str = "EdDSA", **changes: Any) -> str:
        made = jwt.encode({**claims, **changes}, key, algorithm=algorithm, headers={"kid": key_id})
        return f"Bearer {made}"

    deep = base64.urlsafe_b64encode(b'{"kid":' + b"[" * 2800).decode().rstrip("=")
    return {
        "expired": (signed(ours, iat=1, exp=int(unix_seconds()) - 1), "token_expired"),
        "forged": (signed(Ed25519PrivateKey.generate()), "token_invalid"),
        "alg none": (f"Bearer {part({'alg': 'none', 'typ': 'JWT', 'kid': key_id})}.{payload}.", "token_invalid"),
        "alg none, signed": (f"Bearer {part({'alg': 'none', 'kid': key_id})}.{payload}.{signature}", "token_invalid"),
        "HS256 with the public key": (signed(public.encode() * 2, "HS256"), "token_invalid"),
        "other claims, same signature": (
            f"Bearer {header}.{part({**claims, 'roles': ['admin']})}.{signature}",
            "token_invalid",
        ),
        "another audience": (signed(ours, aud="elsewhere"), "token_invalid"),
        "another issuer": (signed(ours, iss="elsewhere"), "token_invalid"),
        "an unknown role": (signed(ours, roles=["root"]), "token_invalid"),
        "an unknown key": (
            f"Bearer {jwt.encode(claims, ours, algorithm='EdDSA', headers={'kid': 'x'})}",
            "token_invalid",
        ),
        "a deep header": (f"Bearer {deep}.e30.AA", "token_invalid"),
        "40 kB": (f"Bearer {'a' * 40_000}", "token_invalid"),
        "no token": ("Bearer", "token_invalid"),
        "another scheme": (f"Basic {alice.token}", "token_invalid"),
    }


def test_a_bad_token_is_refused(api: Api, alice: Person, bob: Person) -> None:
    for name, (authorization, code) in bad_tokens(api, alice).items():
        answer = api.http.post(
            "/api/v1/transfers",
            json=transfer(alice, bob),
            headers={"Authorization": authorization, "Idempotency-Key": new_key()},
        )
        assert (name, answer.status_code, code_of(answer)) == (name, 401, code)
        assert answer.headers["www-authenticate"] == "Bearer"
    problem(api.post("/transfers", transfer(alice, bob), key=new_key()), 401, "token_missing")


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/transfers", 2_000_000),
        ("/deposits", 2_000_000),
        ("/accounts", 2_000_000),
        ("/transfers/batch", 34_000_000),
    ],
)
def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(
    path: str, size: int, api: Api, alice: Person, bob: Person
) -> None:
    body = json.dumps(transfer(alice, bob, description="x" * size)).encode()
    problem(api.post(path, content=body, token=alice.token, key=new_key()), 413, "body_too_large")
    chunks = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    problem(api.post(path, content=chunks, token=alice.token, key=new_key()), 413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "route_not_found"),
        ("GET", "/", 404, "route_not_found"),
        ("POST", "/api/v1/transfers/", 404, "route_not_found"),
        ("POST", "/api/v1//transfers", 404, "route_not_found"),
        ("DELETE", "/api/v1/transfers", 405, "method_not_allowed"),
        ("PUT", "/api/v1/transfers/batch", 405, "method_not_allowed"),
        ("PROPFIND", "/api/v1/transfers", 405, "method_not_allowed"),
        ("PATCH", "/api/v1/deposits", 405, "method_not_allowed"),
        ("DELETE", "/api/v1/users", 405, "method_not_allowed"),
    ],
)
def test_an_unknown_route_or_method_is_a_problem(method: str, path: str, status: int, code: str, api: Api) -> None:
    problem(api.http.request(method, path), status, code)


BAD_DEPOSITS: dict[str, tuple[dict[str, Any], int, str]] = {
    "zero": ({"amount_minor": 0}, 422, "invalid_request"),
    "no reference": ({"reference": ""}, 422, "invalid_request"),
    "an unknown account": ({"account_id": new_id()}, 404, "account_not_found"),
    "the reserve": ({"account_id": system_account_id("USD", "SYS-RESERVE-0001")}, 404, "account_not_found"),
    "another asset": ({"asset": "EUR"}, 422, "asset_mismatch"),
    "an unknown asset": ({"asset": "XYZ"}, 422, "asset_unknown"),
    "an unknown field": ({"source": "printing press"}, 422, "invalid_request"),
}


@pytest.mark.parametrize("name", BAD_DEPOSITS)
def test_a_bad_deposit_is_refused_with_its_code(name: str, api: Api, bob: Person) -> None:
    changes, status, code = BAD_DEPOSITS[name]
    body = {"account_id": bob.account_id, "amount_minor": 5, "asset": "USD", "reference": "cash", **changes}
    problem(api.post("/deposits", body, token=api.admin_token, key=new_key()), status, code)


def items(alice: Person, bob: Person, count: int, **changes: Any) -> list[dict[str, Any]]:
    return [transfer(alice, bob, idempotency_key=new_key(), **changes) for _ in range(count)]


@pytest.mark.parametrize(
    ("mode", "too_many", "refusal"),
    [("atomic", 1_001, "atomic_batch_too_large"), ("independent", 10_001, "invalid_request")],
)
def test_a_bad_batch_is_refused_whole(
    mode: str, too_many: int, refusal: str, api: Api, alice: Person, bob: Person
) -> None:
    twice = items(alice, bob, 1) * 2
    batches: list[tuple[object, str]] = [
        ({"mode": mode, "transfers": items(alice, bob, too_many)}, refusal),
        ({"mode": mode, "transfers": []}, "invalid_request"),
        ({"mode": mode}, "invalid_request"),
        ({"mode": "sometimes", "transfers": items(alice, bob, 1)}, "invalid_request"),
        ({"mode": mode, "transfers": twice}, "duplicate_idempotency_key"),
        ({"mode": mode, "transfers": [transfer(alice, bob)]}, "invalid_request"),
        ({"mode": mode, "transfers": items(alice, bob, 2) + items(alice, bob, 1, amount_minor=-1)}, "invalid_request"),
        ({"mode": mode, "transfers": [transfer(alice, bob, idempotency_key="a key")]}, "invalid_request"),
        ({"mode": mode, "transfers": [transfer(alice, bob, idempotency_key="k" * 256)]}, "invalid_request"),
    ]
    for body, code in batches:
        problem(api.post("/transfers/batch", body, token=alice.token), 422, code)


def test_nothing_that_was_sent_in_confidence_is_logged(api: Api, alice: Person, bob: Person) -> None:
    secret = "a remark nobody may log"
    api.post("/transfers", content=text(b"\\ud800" + secret.encode())(alice, bob), token=alice.token, key=new_key())
    api.post("/transfers", transfer(alice, bob, description="\n" + secret), token=alice.token, key=new_key())
    problem(api.log_in(alice.email, "wrong " + secret), 401, "invalid_credentials")
    api.post("/users", {"email": alice.email, "password": secret, "full_name": "Unmistakable", secret: secret})
    api.get(f"/transfers/{new_id()}", alice.token)
    forged = bad_tokens(api, alice)["forged"][0]
    api.http.get("/api/v1/me", headers={"Authorization": forged})
    wait_until("the logs of these requests", lambda: bool(api.logs()))
    logs = api.logs()
    confidential = [secret, alice.token, api.admin_token, forged[-40:], alice.email, "Unmistakable", "nobody may log"]
    assert [word for word in confidential if word in logs] == []
    assert alice.token.rpartition(".")[2] not in logs
