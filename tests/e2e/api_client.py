"""People as they use the API of a running stack: the administrator, customers, and what they send."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2

PASSWORD = "a password nobody may log 4711"
TOKEN_SECONDS = 300.0
"""How long an access token is used before the next log-in; it is good for fifteen minutes."""


@dataclass(frozen=True)
class Person:
    """A customer with one account in US dollars."""

    user_id: str
    email: str
    full_name: str
    token: str
    account_id: str


class Api:
    """The gateway of one stack, and a look behind it."""

    def __init__(self, stack: Mapping[str, Any], folder: Path) -> None:
        self.http = httpx2.Client(base_url=str(stack["api"]), timeout=45)
        self.dsn = str(stack["postgres"])
        self.kafka = str(stack["kafka"])
        self.folder = folder
        self.services: Mapping[str, Any] = stack["services"]
        self._admin = stack["admin"]
        self._admin_token, self._logged_in_at = "", -TOKEN_SECONDS

    @property
    def admin_token(self) -> str:
        """The administrator's access token: a lane may take longer than one is good for."""
        if monotonic() - self._logged_in_at >= TOKEN_SECONDS:
            self._logged_in_at = monotonic()
            answer = self.log_in(self._admin["email"], self._admin["password"])
            self._admin_token = answer.json()["access_token"]
        return self._admin_token

    def log_in(self, email: str, password: str) -> httpx2.Response:
        return self.http.post("/api/v1/auth/login", json={"email": email, "password": password})

    def post(
        self,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        key: str | None = None,
        content: bytes | Iterable[bytes] | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """Post a body as JSON, or `content` as it is. A keyword `idempotency_key` would be a header of that name."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if key is not None:
            sent["Idempotency-Key"] = key
        data = json.dumps(body).encode() if content is None else content
        return self.http.post(f"/api/v1{path}", content=data, headers={"Content-Type": "application/json", **sent})

    def get(self, path: str, token: str | None = None) -> httpx2.Response:
        return self.http.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"} if token else {})

    def person(self, name: str, *, funds_minor: int = 0, verified: bool = True) -> Person:
        """Register somebody with an account, money and KYC as said."""
        email, full_name = f"{name}.{uuid4().hex[:10]}@example.com", f"{name.capitalize()} Unmistakable"
        user_id = self.post("/users", {"email": email, "password": PASSWORD, "full_name": full_name}).json()["user_id"]
        token = self.log_in(email, PASSWORD).json()["access_token"]
        account_id = self.post("/accounts", {"asset": "USD"}, token=token).json()["account_id"]
        somebody = Person(user_id, email, full_name, token, account_id)
        if verified:
            self.verify(somebody)
        if funds_minor:
            assert self.deposit(somebody, funds_minor).status_code == 201
        return somebody

    def business(self, name: str, *, funds_minor: int) -> Person:
        """Register somebody who may send more than fifty transfers an hour."""
        person = self.person(name, funds_minor=funds_minor)
        changed = self.http.put(
            f"/api/v1/admin/users/{person.user_id}/profile",
            json={"profile": "business"},
            headers={"Authorization": f"Bearer {self.admin_token}"},
        )
        assert changed.status_code == 200, changed.text
        return person

    def apply(self, person: Person) -> None:
        """Ask for the verification of somebody who never did."""
        body = {"full_name": person.full_name, "birth_date": "1990-01-01", "country": "DE"}
        assert self.post("/kyc/application", body, token=person.token).status_code == 201

    def decide_kyc(self, person: Person, decision: str, **changes: Any) -> None:
        """Approve or reject somebody's application: the click alone, whoever hears of it when."""
        status = self.get("/kyc/status", person.token).json()
        body = {"version": status["version"], "reason": "seen", **changes}
        decided = self.post(f"/admin/kyc/{person.user_id}/{decision}", body, token=self.admin_token)
        assert decided.status_code == 200, decided.text

    def verify(self, person: Person) -> None:
        self.apply(person)
        self.decide_kyc(person, "approve")
        # Over the bus: a transfer sent at once would be blocked as an unverified customer's.
        known = f"user_id = '{person.user_id}' AND kyc_tier > 0"
        wait_until("the approval to be known", lambda: self.count("gateway.customers", known) == 1)

    def deposit(self, person: Person, amount_minor: int, **changes: Any) -> httpx2.Response:
        body = {"account_id": person.account_id, "amount_minor": amount_minor, "asset": "USD", "reference": "cash"}
        options = {"token": self.admin_token, "key": new_key(), **changes}
        return self.post("/deposits", body, **options)

    def pay(self, source: Person, target: Person, amount_minor: int = 1, **options: Any) -> httpx2.Response:
        options = {"token": source.token, "key": new_key(), **options}
        return self.post("/transfers", transfer(source, target, amount_minor), **options)

    def rows(self) -> tuple[int, int]:
        """Return how many transfers the gateway and the ledger have stored."""
        return self.count("gateway.transfers"), self.count("ledger.transfers")

    def count(self, table: str, condition: str = "true") -> int:
        async def ask() -> int:
            connection = await asyncpg.connect(self.dsn)
            try:
                found: int = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}")
            finally:
                await connection.close()
            return found

        return asyncio.run(ask())

    def logs(self) -> str:
        """Return everything any process of the stack has logged."""
        return "".join(file.read_text(errors="replace") for file in sorted((self.folder / "logs").glob("*.log")))

    def balance_minor(self, person: Person) -> int:
        return int(self.get(f"/accounts/{person.account_id}", person.token).json()["posted_minor"])


def new_key() -> str:
    return uuid4().hex


def transfer(source: Person, target: Person, amount_minor: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a transfer's body with these fields changed."""
    return {
        "source_account_id": source.account_id,
        "destination_account_id": target.account_id,
        "amount_minor": amount_minor,
        "asset": "USD",
        **changes,
    }


@contextmanager
def stopped(api: Api, service: str) -> Iterator[None]:
    """Let a service's processes have no time for as long as the block; they may be killed meanwhile."""
    pids = _pids(api, service)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def kill(api: Api, service: str) -> None:
    """Kill a service's processes as they are; `up` starts others."""
    for pid in _pids(api, service):
        os.kill(pid, signal.SIGKILL)


def _pids(api: Api, service: str) -> list[int]:
    stack = json.loads((api.folder / "stack.json").read_text())
    pids: list[int] = stack["services"][service]["pids"]
    return pids


def staff(api: Api, role: str) -> str:
    """The access token of somebody with this one role."""
    email = f"{role}.{new_key()[:10]}@example.com"
    person = {"email": email, "password": PASSWORD, "full_name": role}
    user_id = api.post("/users", person).json()["user_id"]
    header = {"Authorization": f"Bearer {api.admin_token}"}
    changed = api.http.put(f"/api/v1/admin/users/{user_id}/roles", json={"roles": [role]}, headers=header)
    assert changed.status_code == 200, changed.text
    return str(api.log_in(email, PASSWORD).json()["access_token"])


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem document after checking that it is one (RFC 9457), with this status and code."""
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text[:500]
    return assert_problem(answer)


def assert_problem(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:500]
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= document.keys(), document
    assert document["status"] == answer.status_code
    assert document["type"] == f"/errors/{document['code']}"
    assert len(answer.content) < 2000, "a problem repeats no more of a request than a sentence"
    return document


def code_of(answer: httpx2.Response) -> object:
    return answer.json().get("code") if answer.content.startswith(b"{") else None


def wait_until(what: str, condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        sleep(0.05)
