"""What belongs to other services reaches them, and nothing else of theirs can be reached."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e.api_client import Api, Person, assert_problem, problem

# The names that API consumers rely on: they may grow in number, and never change.
ROUTES = {
    "/api/v1/users": {"post"},
    "/api/v1/auth/login": {"post"},
    "/api/v1/auth/refresh": {"post"},
    "/api/v1/auth/logout": {"post"},
    "/api/v1/auth/password": {"post"},
    "/api/v1/auth/password-reset": {"post"},
    "/api/v1/auth/password-reset/confirm": {"post"},
    "/api/v1/auth/totp": {"post", "delete"},
    "/api/v1/auth/totp/confirm": {"post"},
    "/api/v1/auth/step-up": {"post"},
    "/api/v1/auth/sessions": {"get", "delete"},
    "/api/v1/auth/sessions/{session_id}": {"delete"},
    "/api/v1/me": {"get"},
    "/api/v1/accounts": {"get", "post"},
    "/api/v1/accounts/{account_id}": {"get"},
    "/api/v1/accounts/{account_id}/entries": {"get"},
    "/api/v1/transfers": {"post"},
    "/api/v1/transfers/batch": {"post"},
    "/api/v1/transfers/{transfer_id}": {"get"},
    "/api/v1/transfers/{transfer_id}/receipt": {"get"},
    "/api/v1/deposits": {"post"},
    "/api/v1/admin/users/{user_id}/roles": {"put"},
    "/api/v1/admin/users/{user_id}/profile": {"put"},
    "/api/v1/transparency/checkpoint": {"get"},
    "/api/v1/transparency/consistency": {"get"},
    "/api/v1/transparency/inclusion": {"get"},
    "/api/v1/transparency/key": {"get"},
    "/api/v1/kyc/application": {"post"},
    "/api/v1/kyc/status": {"get"},
    "/api/v1/admin/kyc/{user_id}/approve": {"post"},
    "/api/v1/admin/kyc/{user_id}/reject": {"post"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
}


def status_and_body(api: Api, target: bytes, *headers: bytes) -> tuple[int, bytes]:
    """Ask for a target exactly as given; every client library would tidy it up first."""
    address = urlsplit(str(api.http.base_url))
    request = b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""])
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/kyc/../../../metrics",
        b"/api/v1/auth/%2e%2e/%2e%2e/%2e%2e/health/ready",
        b"/api/v1/kyc/x%2f..%2fstatus",
        b"/api/v1/auth/../../../internal/accounts/x",
        b"/api/v1/kyc/./status",
        b"/api/v1/kyc/%00",
        b"/api/v1/kyc/%ff",
        b"/api/v1/kyc/%23a%3fb",
        b"/api/v1/kyc/..%5c..%5cmetrics",
        b"/api/v1/kyc/" + b"a" * 8_000,
        b"/internal/accounts/x",
    ],
)
def test_no_path_leads_to_what_services_show_only_to_their_neighbours(target: bytes, api: Api) -> None:
    status, body = status_and_body(api, target)
    assert (status, b"route_not_found" in body) == (404, True), body[:300]


def test_headers_that_are_no_ascii_are_handed_on(api: Api) -> None:
    status, body = status_and_body(api, b"/api/v1/me", b"User-Agent: \xe9\xff", b"Accept: \xe9")
    assert (status, b"token_missing" in body) == (401, True), body[:300]


def test_a_service_decides_again_with_the_callers_own_token(api: Api, alice: Person, stranger: Person) -> None:
    assert api.get("/me", alice.token).json()["user_id"] == alice.user_id
    assert api.get(f"/accounts/{alice.account_id}", alice.token).json()["account_id"] == alice.account_id
    problem(api.get(f"/accounts/{alice.account_id}", stranger.token), 404, "account_not_found")
    problem(api.get(f"/accounts/{alice.account_id}/entries", stranger.token), 404, "account_not_found")
    forbidden = api.post(f"/admin/kyc/{alice.user_id}/approve", {"reason": "me"}, token=stranger.token)
    problem(forbidden, 403, "role_required")


def test_problems_of_other_services_come_through_as_they_are(api: Api) -> None:
    answer = api.post("/users", {"email": "x"})
    assert answer.status_code == 422
    assert assert_problem(answer)["code"] == "invalid_request"
    assert answer.headers["x-request-id"] in answer.json()["instance"]


def test_one_openapi_document_describes_everything(api: Api) -> None:
    document = api.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {path: set(operations) for path, operations in document["paths"].items()}
    assert {path: sorted(methods - described.get(path, set())) for path, methods in ROUTES.items()} == {
        path: [] for path in ROUTES
    }
    assert not [path for path in described if path.startswith("/internal")]
    assert unresolved(document, document["components"]) == []


def unresolved(node: object, components: dict[str, dict[str, object]]) -> list[str]:
    """Return references to what is not in the document."""
    if isinstance(node, dict):
        found = [missing for value in node.values() for missing in unresolved(value, components)]
        ref = node.get("$ref")
        if isinstance(ref, str):
            kind, _, name = ref.removeprefix("#/components/").partition("/")
            found += [] if name in components.get(kind, {}) else [ref]
        return found
    if isinstance(node, list):
        return [missing for value in node for missing in unresolved(value, components)]
    return []


def test_every_answer_has_the_security_headers(api: Api) -> None:
    for path in ("/api/v1/transfers/x", "/api/v1/kyc/status", "/nothing", "/health/live"):
        headers = api.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["x-request-id"]
