"""Attacks with a valid log-in that were tried by hand and stay tried: docs/security.md says what came of each."""

import gzip
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from tests.e2e.api_client import PASSWORD, Api, Person, code_of, new_key, problem, transfer

SQL = "' OR 1=1 --"
HIDDEN = b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n\r\n"


def bearer(person: Person, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}", "Idempotency-Key": new_key(), **more}


def answers(api: Api, request: bytes) -> list[int]:
    """Send bytes as they are; return the status of every answer that comes."""
    address = urlsplit(str(api.http.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        came = b"".join(iter(lambda: connection.recv(65_536), b""))
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", came)]


def test_nobody_gives_himself_what_no_field_asks_for(api: Api, stranger: Person, alice: Person) -> None:
    registration = {"email": f"m.{uuid4().hex}@example.com", "password": PASSWORD, "full_name": "Mallory"}
    hers, new_id = alice.user_id, str(uuid4())
    attempts: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("POST", "/users", registration, {"roles": ["admin"], "email_verified": True, "profile": "business"}),
        ("POST", "/users", registration, {"user_id": new_id, "status": "active", "__proto__": {"roles": ["admin"]}}),
        ("PATCH", "/me", {"full_name": "Mallory"}, {"roles": ["admin"], "email": "x@example.com", "status": "closed"}),
        ("POST", "/accounts", {"asset": "USD"}, {"owner_id": hers, "minimum_minor": -100, "posted_minor": 100}),
        ("PATCH", f"/accounts/{stranger.account_id}", {"name": "x"}, {"owner_id": hers, "status": "closed"}),
        ("POST", "/transfers", transfer(stranger, alice), {"actor_id": hers, "kind": "deposit", "transfer_id": new_id}),
        ("POST", "/transfers", transfer(stranger, alice), {"payer": {"user_id": hers}, "verdict": "approve"}),
        ("POST", "/api-keys", {"name": "x", "scopes": ["transfers:read"]}, {"user_id": hers, "roles": ["admin"]}),
        ("POST", "/webhooks", {"url": "https://shop.example/"}, {"user_id": hers, "secret": "whsec_AAAA"}),
        ("PATCH", "/me", {"full_name": "Mallory"}, {"tier": 3, "kyc_tier": 3, "profile": "business"}),
    ]
    for method, path, body, additions in attempts:
        for name, value in additions.items():
            answer = api.http.request(method, f"/api/v1{path}", json={**body, name: value}, headers=bearer(stranger))
            [error] = problem(answer, 422, "invalid_request")["errors"]
            assert error["pointer"] == f"/{name}", (path, answer.text)
    assert api.get("/me", stranger.token).json()["roles"] == ["customer"]


def test_text_of_sql_is_text(api: Api, stranger: Person) -> None:
    text, staff = quote(SQL), {"Authorization": f"Bearer {api.admin_token}"}
    for path in (f"transfers?metadata.{text}=x", f"transfers?metadata.order={text}"):
        assert api.http.get(f"/api/v1/{path}", headers=bearer(stranger)).json()["transfers"] == []
    for name, value in (("user_id", SQL), ("resource_id", SQL), ("resource_id", "%"), ("user_id", "_")):
        entries = api.http.get("/api/v1/admin/audit-logs", params={name: value}, headers=staff).json()["entries"]
        # Who has just searched by it may be found by it; nothing else is.
        assert {one["resource_id"] for one in entries} <= {value}
    for path in (
        f"transfers?account_id={text}",
        f"transfers?cursor={text}",
        f"auth/sessions?cursor={text}",
        f"accounts/{text}",
        f"transfers/{text}",
        f"batches/{text}",
        f"webhooks/{text}",
        f"fee-schedules/{text}",
    ):
        assert api.http.get(f"/api/v1/{path}", headers=bearer(stranger)).status_code in (404, 422), path


def test_nobody_writes_a_line_into_the_log(api: Api) -> None:
    forged = f"FORGED{uuid4().hex}"
    ends = b"Host: x\r\nConnection: close\r\n\r\n"
    line = json.dumps({"event": forged}).encode()
    assert answers(api, b"GET /api/v1/me HTTP/1.1\r\nUser-Agent: a\n" + line + b"\r\n" + ends) == [400]
    assert answers(api, b"GET /api/v1/me%0a" + forged.encode() + b" HTTP/1.1\r\n" + ends) == [404]
    assert answers(api, b"GET /api/v1/me HTTP/1.1\r\nX-Request-Id: " + forged.encode() + b"\r\n" + ends) == [401]
    assert forged not in api.logs()


@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN)),
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n%x\r\n" % len(HIDDEN),
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN),
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"X-A: b\r\n folded\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", [b"/api/v1/auth/logout", b"/api/v1/transfers"])
def test_a_request_hidden_in_another_is_not_answered(request_: bytes, path: bytes, api: Api) -> None:
    assert answers(api, b"POST %b HTTP/1.1\r\nHost: x\r\n%b%b" % (path, request_, HIDDEN)) == [400]


@pytest.mark.parametrize("path", ["/accounts", "/transfers", "/auth/login", "/kyc/application", "/api-keys"])
def test_deep_and_wide_json_is_refused(path: str, api: Api, stranger: Person) -> None:
    wide = json.dumps({f"m{number}": 1 for number in range(50_000)}).encode()
    listed = json.dumps({"name": "x", "scopes": [1] * 200_000}).encode()
    for content in (b"[" * 500_000, b'{"a":' * 150_000, b'{"asset":' + b"1" * 5_000 + b"}", wide, listed):
        answer = api.post(path, content=content, token=stranger.token, key=new_key())
        assert answer.status_code in (400, 422), answer.text[:200]
        assert len(answer.json().get("errors", [])) <= 3, "not an error for each part"


def test_a_file_that_grows_when_it_is_unpacked_is_not_unpacked(api: Api, stranger: Person) -> None:
    header = b"source_account_id,destination_account_id,amount_minor,asset\n"
    packed = gzip.compress(header + b"\n" * 10_000_000)
    headers = bearer(stranger, **{"Content-Type": "text/csv", "Content-Encoding": "gzip"})
    problem(api.http.post("/api/v1/batches", content=packed, headers=headers), 422, "batch_file_unreadable")


def test_an_account_that_is_closed_while_money_arrives_is_empty(api: Api, alice: Person, bob: Person) -> None:
    account_id = api.post("/accounts", {"asset": "USD"}, token=bob.token, key=new_key()).json()["account_id"]
    target = Person(bob.user_id, bob.email, bob.full_name, bob.token, account_id)

    def act(number: int) -> tuple[int, object]:
        if number == 1:
            answer = api.post(f"/accounts/{account_id}/close", {}, token=bob.token, key=new_key())
        else:
            answer = api.pay(alice, target)
        return answer.status_code, code_of(answer)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(act, range(8)))
    shown = api.get(f"/accounts/{account_id}", bob.token).json()
    posted = [status for number, (status, _) in enumerate(done) if number != 1].count(201)
    closed = done[1] == (200, None)
    assert (shown["status"], shown["posted_minor"]) == (("closed", 0) if closed else ("active", posted)), done
    assert {code for _, code in done} <= {None, "account_closed", "account_not_empty"}


def test_the_gateway_shows_no_metrics_and_no_way_in_to_who_has_an_access_token(api: Api) -> None:
    staff = {"Authorization": f"Bearer {api.admin_token}", "X-Internal-Token": api.admin_token}
    problem(api.http.get("/metrics", headers=staff), 401, "metrics_token_required")
    problem(api.http.get("/internal/digests/outcomes", headers=staff), 401, "internal_token_required")
    token = (api.folder / "keys" / "metrics.token").read_text()
    for service in api.services.values():
        answer = api.http.get(service["metrics"], headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, b"http_server_request_duration_seconds" in answer.content) == (200, True)
