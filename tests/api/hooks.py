"""What Schemathesis needs to know of us: who asks, and which refusals say that a request was not understood.

Loaded by `SCHEMATHESIS_HOOKS`. Requests end sessions, change passwords and close customers; whoever is not let in any
more is followed by somebody new.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import jwt
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from libs.common.clock import system_clock
from libs.common.http.openapi import CODES_MEMBER
from libs.common.http.permissions import STAFF
from tests.api.belongings import Belongings, Person
from tests.api.business_refusals import BUSINESS_REFUSALS

API = os.environ["TALLYSTICK_API"]
KEYS = Path(os.environ["TALLYSTICK_API_KEYS"])
PRINCIPAL = os.environ["TALLYSTICK_API_PRINCIPAL"]
LIFETIME_SECONDS = 3600
TRIED = Path(os.environ["TALLYSTICK_API_TRIED"])
ENDS_A_LOGIN = {
    "DELETE /api/v1/auth/sessions",
    "DELETE /api/v1/auth/sessions/{session_id}",
    "DELETE /api/v1/me",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/password",
    "POST /api/v1/auth/refresh",
}
"""Whoever did one of these is let in no more, at once or with what he did it with."""
_FORM = (400, 413, 414, 415, 422)


class Staff(Person):
    """Somebody with every role of staff and a fresh second factor, as the stack's own key says."""

    def log_in(self) -> None:
        super().log_in()
        claims = jwt.decode(self.token, options={"verify_signature": False})
        claims |= {"roles": sorted(STAFF), "amr": ["otp", "pwd"]}
        claims["exp"] = int(system_clock().timestamp()) + LIFETIME_SECONDS
        (published,) = json.loads((KEYS / "jwks.json").read_text())["keys"]
        signing_key = (KEYS / "access-token.pem").read_text()
        self.token = jwt.encode(claims, signing_key, algorithm="EdDSA", headers={"kid": published["kid"]})


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: Any, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def as_bytes(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


for _kind in ("application/pdf", "image/jpeg", "image/png", "image/webp"):
    schemathesis.serializer(_kind)(as_bytes)


class Asker:
    """Whoever asks now: the customer himself, or staff."""

    def __init__(self) -> None:
        self._customer: Belongings | None = None
        self._staff: Staff | None = None

    def customer(self) -> Belongings:
        """Return the customer whom it is all about."""
        self._staff = self._staff or Staff(API)
        self._customer = self._customer or Belongings(API, self._staff)
        return self._customer

    def token(self) -> str:
        customer = self.customer()
        assert self._staff is not None
        return customer.person.token if PRINCIPAL == "customer" else self._staff.token

    def is_now(self, authorization: str) -> bool:
        """Tell whether it is this header that lets in whoever asks now."""
        persons = [self._staff, self._customer.person if self._customer else None]
        return any(person is not None and person.headers["Authorization"] == authorization for person in persons)

    def has_done(self, operation: Any) -> None:
        """Take note of what was carried out: what it ended is not asked about again."""
        if operation.label in ENDS_A_LOGIN:
            self.log_in_again()
        elif self._customer is not None:
            self._customer.forget(operation.method.upper(), operation.path)

    def log_in_again(self) -> None:
        """Be the same persons in new sessions, or somebody new in place of whoever is not let in any more."""
        try:
            if self._staff is not None:
                self._staff.log_in()
        except httpx2.HTTPStatusError:
            self._staff = self._customer = None
        try:
            if self._customer is not None:
                self._customer.person.log_in()
        except httpx2.HTTPStatusError:
            self._customer = None

    def leave_customer(self) -> None:
        """Make room for another customer."""
        self._customer = None


ASKER = Asker()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case: Any, context: Any) -> str:
        return ASKER.token()

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


TRIED_NOW: set[str] = set()
SENT: Counter[str] = Counter()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Let every second request be about what exists, in what of it fits; sequences know themselves what exists."""
    SENT[case.operation.label] += 1
    if case.meta is None or case.meta.phase.name is TestPhase.STATEFUL or SENT[case.operation.label] % 2 == 0:
        return
    path = case.operation.path
    try:
        customer = ASKER.customer()
        if _fits(case, ParameterLocation.PATH):
            own = {name: customer.in_path(name, path) for name in case.path_parameters or {}}
            case.path_parameters |= {name: value for name, value in own.items() if value is not None}
        if _fits(case, ParameterLocation.BODY) and isinstance(case.body, dict):
            case.body = customer.in_body(path, case.body)
    except httpx2.HTTPStatusError:
        ASKER.leave_customer()  # he has closed, say, or has as many of something as he may


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Note that an operation was tried with what fits the document, and forget what is no more."""
    is_public = not case.operation.definition.raw["security"]
    if response.status_code == 401 and not is_public:
        if ASKER.is_now(str(response.request.headers.get("Authorization", ""))):
            ASKER.log_in_again()
    elif _fits(case) and case.operation.label not in TRIED_NOW:
        TRIED_NOW.add(case.operation.label)
        with TRIED.open("a") as tried:
            tried.write(f"{case.operation.label}\n")
    if response.status_code in (200, 201, 202, 204):
        ASKER.has_done(case.operation)


@schemathesis.check
def what_fits_is_refused_by_business_alone(context: Any, response: Any, case: Any) -> None:
    """Fail for a refusal of what fits the document, unless it is business and the operation's document names its code.

    It completes `positive_data_acceptance`, which knows statuses alone.
    """
    if not _fits(case) or response.status_code not in _FORM:
        return
    answer = response.json()
    if "results" in answer:  # an atomic batch: each item says for itself why it was refused
        return
    code = answer["code"]
    assert code in BUSINESS_REFUSALS, f"fits the document, but is refused as {code}: {response.text[:500]}"
    named = {
        code for answer in case.operation.definition.raw["responses"].values() for code in answer.get(CODES_MEMBER, ())
    }
    assert code in named, f"{case.operation.label} is refused as {code}, which its document does not name"


def _fits(case: Any, location: ParameterLocation | None = None) -> bool:
    """Tell whether a request fits the document, or the part of it does."""
    if case.meta is None:
        return False
    if location is None:
        return bool(case.meta.generation.mode.is_positive)
    part = case.meta.components.get(location)
    return part is None or bool(part.mode.is_positive)
