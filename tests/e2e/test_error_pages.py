"""Every refusal is a problem document, the server's own too, and its `type` leads to a page that explains the code."""

import socket
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from libs.common.http.large_bodies import MAX_BODY_BYTES
from libs.common.http.unreadable import MAX_HEAD_BYTES
from tests.e2e.api_client import Api, Person, assert_problem, new_key, transfer

TOO_LARGE = b"x" * (MAX_BODY_BYTES + 1)
JSON = {"Content-Type": "application/json"}
LOGIN = "/api/v1/auth/login"
ACCOUNTS = "/api/v1/accounts"
DEPOSITS = "/api/v1/deposits"

REFUSED: dict[str, tuple[Callable[[httpx2.Client], httpx2.Response], int, str]] = {
    "no JSON": (lambda http: http.post(LOGIN, content=b"{", headers=JSON), 400, "malformed_json"),
    "no log-in": (lambda http: http.get(ACCOUNTS), 401, "token_missing"),
    "no log-in on the hot route": (lambda http: http.post("/api/v1/transfers"), 401, "token_missing"),
    "no such route": (lambda http: http.get("/api/v1/nowhere"), 404, "route_not_found"),
    "no such route of a service": (lambda http: http.get("/api/v1/auth/nowhere"), 404, "route_not_found"),
    "no such method": (lambda http: http.patch(ACCOUNTS), 405, "method_not_allowed"),
    "no such method of a service": (lambda http: http.get(LOGIN), 405, "method_not_allowed"),
    "no such method of the hot route": (lambda http: http.put(DEPOSITS), 405, "method_not_allowed"),
    "a large body": (lambda http: http.post(LOGIN, content=TOO_LARGE), 413, "body_too_large"),
    "a large body on the hot route": (lambda http: http.post(DEPOSITS, content=TOO_LARGE), 413, "body_too_large"),
    "a missing field": (lambda http: http.post(LOGIN, json={}), 422, "invalid_request"),
    "an unknown query": (lambda http: http.get("/api/v1/transfers?dryrun=1"), 422, "query_not_understood"),
    "large headers": (lambda http: http.get(ACCOUNTS, headers={"x": "y" * MAX_HEAD_BYTES}), 431, "headers_too_large"),
}


def authorized(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def follow(api: Api, document: dict[str, Any]) -> None:
    page = api.http.get(document["type"])
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<code>{document['code']}</code></h1>" in page.text


@pytest.mark.parametrize("what", REFUSED)
def test_every_refusal_leads_to_its_page(api: Api, what: str) -> None:
    ask, status, code = REFUSED[what]
    answer = ask(api.http)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "server" not in answer.headers
    follow(api, assert_problem(answer))


def test_what_is_no_http_is_answered_with_a_problem_too(api: Api) -> None:
    url = api.http.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert b'"type":"/errors/malformed_http"' in body


@pytest.mark.parametrize(
    ("path", "body", "place", "pointer"),
    [
        ("/api/v1/transfers", {"amount_minor": 0}, "body", "/amount_minor"),
        ("/api/v1/transfers", {"legs": [{}]}, "body", "/legs/0/source_account_id"),
        ("/api/v1/auth/login", {"email": "a@b.c"}, "body", "/password"),
    ],
)
def test_wrong_fields_are_pointed_at(
    api: Api, bob: Person, path: str, body: dict[str, Any], place: str, pointer: str
) -> None:
    answer = api.http.post(path, json=body, headers=authorized(bob) | {"Idempotency-Key": new_key()})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (place, pointer) in {(error["in"], error["pointer"]) for error in answer.json()["errors"]}


def test_wrong_parameters_are_pointed_at(api: Api, alice: Person, bob: Person) -> None:
    missing = api.http.post("/api/v1/transfers", json=transfer(alice, bob), headers=authorized(alice))
    wrong = api.http.get("/api/v1/accounts?limit=0", headers=authorized(alice))
    unknown = api.http.get("/api/v1/accounts?limits=1", headers=authorized(alice))
    found = [error | {"detail": ""} for answer in (missing, wrong, unknown) for error in answer.json()["errors"]]
    assert found == [
        {"in": "header", "pointer": "/Idempotency-Key", "detail": ""},
        {"in": "query", "pointer": "/limit", "detail": ""},
        {"in": "query", "pointer": "/limits", "detail": ""},
    ]


def test_the_index_leads_to_every_page(api: Api) -> None:
    index = api.http.get("/errors").text
    assert '<a href="/errors/insufficient_funds">' in index
    assert api.http.get("/errors/no_such_code").status_code == 404
