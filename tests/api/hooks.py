"""What Schemathesis needs to know of us: who asks, and which refusals say that a request was not understood.

Loaded by `SCHEMATHESIS_HOOKS`. Requests end sessions, change passwords and close customers; whoever is not let in any
more is followed by somebody new.
"""

import json
import os
from pathlib import Path
from typing import Any

import httpx2
import jwt
import schemathesis

from libs.common.clock import system_clock
from libs.common.http.auth import AUDIENCE, ISSUER
from libs.common.http.openapi import CODES_MEMBER
from libs.common.http.permissions import STAFF
from libs.common.ids import new_id
from tests.api.business_refusals import BUSINESS_REFUSALS

API = os.environ["TALLYSTICK_API"]
KEYS = Path(os.environ["TALLYSTICK_API_KEYS"])
PRINCIPAL = os.environ["TALLYSTICK_API_PRINCIPAL"]
PASSWORD = "a password nobody may log 4711"
LIFETIME_SECONDS = 3600
TRIED = Path(os.environ["TALLYSTICK_API_TRIED"])
_FORM = (400, 413, 414, 415, 422)


def customer() -> str:
    """Register somebody and log him in; return his token."""
    email = f"{new_id()}@example.com"
    registration = {"email": email, "password": PASSWORD, "full_name": "Alice Example"}
    httpx2.post(f"{API}/api/v1/users", json=registration, timeout=30).raise_for_status()
    answer = httpx2.post(f"{API}/api/v1/auth/login", json={"email": email, "password": PASSWORD}, timeout=30)
    return str(answer.raise_for_status().json()["access_token"])


def staff() -> str:
    """Return a token with every role of staff and a fresh second factor, signed with the stack's own key."""
    now = int(system_clock().timestamp())
    claims: dict[str, object] = {"iss": ISSUER, "aud": AUDIENCE, "sub": new_id(), "roles": sorted(STAFF)}
    claims |= {"jti": new_id(), "sid": new_id(), "auth_time": now, "amr": ["otp", "pwd"]}
    claims |= {"iat": now, "exp": now + LIFETIME_SECONDS}
    (published,) = json.loads((KEYS / "jwks.json").read_text())["keys"]
    signing_key = (KEYS / "access-token.pem").read_text()
    return jwt.encode(claims, signing_key, algorithm="EdDSA", headers={"kid": published["kid"]})


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: Any, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


class Asker:
    """Whoever asks now."""

    def __init__(self) -> None:
        self.token = ""

    def current(self) -> str:
        self.token = self.token or {"customer": customer, "staff": staff}[PRINCIPAL]()
        return self.token

    def is_let_in_no_more(self, token: str) -> None:
        if token == self.token:
            self.token = ""


ASKER = Asker()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case: Any, context: Any) -> str:
        return ASKER.current()

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


TRIED_NOW: set[str] = set()


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Note that an operation was tried with what fits the document, and forget a token that is no longer accepted."""
    is_public = not case.operation.definition.raw["security"]
    if response.status_code == 401 and not is_public:
        ASKER.is_let_in_no_more(str(response.request.headers.get("Authorization", "")).removeprefix("Bearer "))
    elif _fits(case) and case.operation.label not in TRIED_NOW:
        TRIED_NOW.add(case.operation.label)
        with TRIED.open("a") as tried:
            tried.write(f"{case.operation.label}\n")


@schemathesis.check
def what_fits_is_refused_by_business_alone(context: Any, response: Any, case: Any) -> None:
    """Fail for a refusal of what fits the document, unless it is business and the operation's document names its code.

    It completes `positive_data_acceptance`, which knows statuses alone.
    """
    if not _fits(case) or response.status_code not in _FORM:
        return
    code = response.json()["code"]
    assert code in BUSINESS_REFUSALS, f"fits the document, but is refused as {code}: {response.text[:500]}"
    named = {
        code for answer in case.operation.definition.raw["responses"].values() for code in answer.get(CODES_MEMBER, ())
    }
    assert code in named, f"{case.operation.label} is refused as {code}, which its document does not name"


def _fits(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive
