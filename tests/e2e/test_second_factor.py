"""A person's way through his log-ins: register, set up an authenticator, log in with it, refresh, end a session."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyotp

from tests.e2e.api_client import PASSWORD, Api, problem, wait_until


def test_a_log_in_with_a_second_factor_ends_everywhere_when_it_is_revoked(api: Api) -> None:
    email = f"authenticator.{uuid4().hex[:10]}@example.com"
    body = {"email": email, "password": PASSWORD, "full_name": "Grace Hopper"}
    assert api.post("/users", body).status_code == 201
    first = api.log_in(email, PASSWORD).json()
    totp = pyotp.TOTP(api.post("/auth/totp", {}, token=first["access_token"]).json()["secret"])
    # The code of the step before confirms, so that the present one is still to be used.
    earlier = totp.at(datetime.now(UTC), counter_offset=-1)
    confirmed = api.post("/auth/totp/confirm", {"totp_code": earlier}, token=first["access_token"])
    assert len(confirmed.json()["recovery_codes"]) == 10
    problem(api.log_in(email, PASSWORD), 401, "second_factor_required")
    login = {"email": email, "password": PASSWORD, "totp_code": totp.at(datetime.now(UTC))}
    second = api.post("/auth/login", login).json()
    refreshed = api.post("/auth/refresh", {"refresh_token": second["refresh_token"]}).json()
    sessions = api.get("/auth/sessions", first["access_token"]).json()["sessions"]
    assert [one["is_current"] for one in sessions] == [False, True]
    assert {one["address"] for one in sessions} == {"127.0.0.1"}
    ended = api.http.delete(
        f"/api/v1/auth/sessions/{sessions[0]['session_id']}",
        headers={"Authorization": f"Bearer {first['access_token']}"},
    )
    assert ended.status_code == 204
    problem(api.post("/auth/refresh", {"refresh_token": refreshed["refresh_token"]}), 401, "refresh_token_invalid")
    tokens: list[dict[str, Any]] = [second, refreshed]
    for path in ("/me", "/transfers", "/kyc/status"):
        for one in tokens:
            wait_until(
                f"{path} to refuse the token",
                lambda path=path, one=one: api.get(path, one["access_token"]).status_code == 401,  # type: ignore[misc]  # mypy knows no type for defaults of a lambda
                seconds=20,
            )
    assert api.get("/me", first["access_token"]).status_code == 200
