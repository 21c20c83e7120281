"""Whatever is posted to the transfer route, it answers: with a transfer or with a problem, never with a failure."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.api_client import Api, Person, assert_problem, new_key, transfer

FIELDS = ["source_account_id", "destination_account_id", "amount_minor", "asset", "legs", "description", "metadata"]
TEXT = st.text(max_size=40) | st.sampled_from(["\x00", "\ud800", "USD", "EUR", "a" * 141])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, 10**30])
    | st.floats()
    | TEXT
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
CHANGES = st.dictionaries(st.sampled_from(FIELDS) | TEXT, JSON, max_size=3)
HEADER = st.binary(max_size=60).map(lambda value: bytes(b for b in value if b >= 0x20 and b != 0x7F).strip())
EVERY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def check(api: Api, content: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    answer = api.http.post("/api/v1/transfers", content=content, headers=headers)
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text[:500]
        assert_problem(answer)
    else:
        assert answer.status_code in (201, 202), answer.status_code
        assert answer.json()["transfer_id"]


def sent_by(person: Person) -> list[tuple[bytes, bytes]]:
    """Not waiting, because what becomes of it does not matter here."""
    authorization = f"Bearer {person.token}".encode()
    return [(b"authorization", authorization), (b"idempotency-key", new_key().encode()), (b"prefer", b"wait=0")]


@EVERY
@given(body=JSON)
def test_any_json_is_answered(api: Api, stranger: Person, body: Any) -> None:
    check(api, json.dumps(body).encode(), sent_by(stranger))


@EVERY
@given(changes=CHANGES, leg_changes=st.none() | CHANGES)
def test_any_change_of_a_good_transfer_is_answered(
    api: Api, stranger: Person, bob: Person, changes: dict[str, Any], leg_changes: dict[str, Any] | None
) -> None:
    body: dict[str, Any] = transfer(stranger, bob)
    if leg_changes is not None:
        body = {"legs": [{**body, **leg_changes}, body]}
    check(api, json.dumps({**body, **changes}).encode(), sent_by(stranger))


@EVERY
@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered(api: Api, stranger: Person, content: bytes) -> None:
    check(api, content, sent_by(stranger))


@EVERY
@given(
    headers=st.dictionaries(
        st.sampled_from([b"authorization", b"idempotency-key", b"prefer", b"content-type", b"x-request-id", b"accept"]),
        HEADER,
    )
)
def test_any_headers_are_answered(api: Api, stranger: Person, bob: Person, headers: dict[bytes, bytes]) -> None:
    content = json.dumps(transfer(stranger, bob)).encode()
    check(api, content, list({**dict(sent_by(stranger)), **headers}.items()))
