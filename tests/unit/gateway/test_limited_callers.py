"""Whose requests are counted, and as whose."""

from typing import Any

import pytest

from libs.common.audit.asker import Asker
from libs.common.errors import TooManyRequests, Unauthenticated
from libs.common.http.auth import Principal
from libs.common.ids import new_id
from services.gateway.api.rate_limits import RateLimits
from services.gateway.api.request_limits import RequestLimits
from services.gateway.settings import Bounds
from tests.e2e.ownership_table import TABLE


def request(path: str = "/api/v1/me", method: str = "GET", address: str = "192.0.2.1") -> dict[str, Any]:
    headers = [(b"authorization", b"Bearer it")]
    asker = Asker(address=address, user_agent="", request_id=new_id())
    return {
        "type": "http",
        "method": method,
        "path": path,
        "headers": headers,
        "client": (address, 1),
        "asker": asker,
    }


def limits_of(*, is_machine: bool) -> RequestLimits:
    principal = Principal(new_id(), frozenset({"customer"}), "a token", float("inf"), is_machine=is_machine)
    bounds = Bounds(reads=1, changes=1, openings=1, auth=1, logins=1, registrations=1)

    async def identify(_authorization: str | None, _address: str) -> Principal:
        return principal

    return RequestLimits(RateLimits(bounds, enabled=True), identify)


async def test_machines_are_not_counted() -> None:
    limits = limits_of(is_machine=True)
    for _ in range(3):
        asked = request()
        await limits(asked)
        assert "answer_headers" not in asked


async def test_all_keys_of_a_person_count_as_him() -> None:
    person = new_id()
    keys = [Principal(person, frozenset({"customer"}), new_id(), float("inf"), key_id=new_id()) for _ in range(2)]

    async def identify(_header: str | None, _address: str) -> Principal:
        return keys.pop()

    limits = RequestLimits(RateLimits(Bounds(reads=1), enabled=True), identify)
    await limits(request())
    with pytest.raises(TooManyRequests):
        await limits(request(address="192.0.2.2"))


async def test_people_are() -> None:
    limits = limits_of(is_machine=False)
    await limits(request())
    with pytest.raises(TooManyRequests):
        await limits(request(address="192.0.2.2"))


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/health/ready", "GET"),
        ("/metrics", "GET"),
        ("/internal/digests/outcomes", "GET"),
        ("/api/v1/accounts", "OPTIONS"),
        ("/api/v1/transfers/0198/capture", "POST"),
        ("/api/v1/transfers/0198/reversals", "POST"),
        ("/api/v1/admin/accounts/0198/limits", "PUT"),
        ("/api/v1/admin/fee-schedules", "POST"),
    ],
)
async def test_some_requests_are_not_counted_here(path: str, method: str) -> None:
    limits = limits_of(is_machine=False)
    for _ in range(3):
        await limits(request(path, method))


@pytest.mark.parametrize("path", ["transfers/0198/capture", "admin/accounts/0198/status"])
async def test_they_are_once_they_are_refused(path: str) -> None:
    limits = limits_of(is_machine=False)
    asked = request(f"/api/v1/{path}", "POST")
    await limits(asked)
    await asked["count_refusal"]()
    assert b'"changes";r=0' in dict(asked["answer_headers"])[b"ratelimit"]
    await limits(asked)
    with pytest.raises(TooManyRequests):
        await asked["count_refusal"]()


async def test_a_machine_whose_commands_are_refused_is_told_why_however_often() -> None:
    limits = limits_of(is_machine=True)
    asked = request("/api/v1/transfers/0198/capture", "POST")
    await limits(asked)
    assert "count_refusal" not in asked


@pytest.mark.parametrize("header", [None, b"Bearer of-nobody"])
@pytest.mark.parametrize(
    "path",
    ["transfers/0198/capture", "accounts/0198/close", "batches", "admin/accounts/0198/status", "admin/fee-schedules"],
)
async def test_of_nobody_all_of_them_count_by_the_address(path: str, header: bytes | None) -> None:
    async def identify(_header: str | None, _address: str) -> Principal:
        raise Unauthenticated("token_invalid", "Log in.")

    limits = RequestLimits(RateLimits(Bounds(changes=1), enabled=True), identify)
    asked = request(f"/api/v1/{path}", "POST")
    asked["headers"] = [] if header is None else [(b"authorization", header)]
    await limits(asked)
    with pytest.raises(TooManyRequests):
        await limits(asked)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/openapi.json", "GET"),
        ("/api/v1/transfers/0198/reversals", "GET"),
        ("/api/v1/transfers/0198/capture/more", "POST"),
        ("/api/v1/kyc/application", "POST"),
        ("/api/v1/accounts", "POST"),
        ("/api/v1/accounts", "HEAD"),
    ],
)
async def test_all_others_are(path: str, method: str) -> None:
    limits = limits_of(is_machine=False)
    await limits(request(path, method))
    with pytest.raises(TooManyRequests):
        await limits(request(path, method))


BY_ADDRESS_ALONE = {"auth/login", "auth/password-reset", "auth/verify-email/resend"}
OF_AUTH = (
    "auth/login",
    "auth/password-reset",
    "auth/verify-email/resend",
    "auth/refresh",
    "auth/logout",
    "auth/verify-email",
    "auth/password-reset/confirm",
    "auth/password",
    "auth/step-up",
    "auth/totp",
    "auth/totp/confirm",
    "me/email",
    "me/email/confirm",
)


@pytest.mark.parametrize("route", OF_AUTH)
@pytest.mark.parametrize("is_machine", [False, True])
async def test_whatever_changes_something_about_log_ins_counts_by_address_whoever_asks(
    route: str, *, is_machine: bool
) -> None:
    limits, path = limits_of(is_machine=is_machine), f"/api/v1/{route}"
    asked = request(path, "POST")
    asked["headers"] = []
    await limits(asked)
    with pytest.raises(TooManyRequests):
        await limits(request(path, "POST"))


@pytest.mark.parametrize("route", OF_AUTH)
@pytest.mark.parametrize("is_machine", [False, True])
async def test_it_counts_by_the_principal_too_wherever_he_is(route: str, *, is_machine: bool) -> None:
    limits, path = limits_of(is_machine=is_machine), f"/api/v1/{route}"
    await limits(request(path, "POST"))
    elsewhere = request(path, "POST", address="192.0.2.2")
    if route in BY_ADDRESS_ALONE:
        await limits(elsewhere)
        return
    with pytest.raises(TooManyRequests):
        await limits(elsewhere)
    # What the principal was refused does not count against the address.
    elsewhere["headers"] = []
    await limits(elsewhere)


def test_no_change_about_log_ins_is_missing_above() -> None:
    changes = {name.removeprefix("POST /api/v1/") for name in TABLE if name.startswith("POST /api/v1/")}
    assert {name for name in changes if name.startswith(("auth/", "me/"))} == set(OF_AUTH)
