"""Talks to a stack that dies and comes back: insists until it is answered."""

import asyncio
import itertools
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from libs.common.http.authorities import trusted_authorities

PASSWORD = "correct horse battery staple"
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.1
_TOKEN_SECONDS = 600.0
"""An access token lives for 15 minutes; ours is renewed before it can expire under a retry."""
_CLIENTS = 20
PASSING = frozenset({502, 503, 504})


@dataclass
class Person:
    """Somebody who logs in, and his accounts."""

    email: str
    user_id: str = ""
    account_ids: list[str] = field(default_factory=list)
    token: str = ""
    token_at: float = float("-inf")


class Api:
    """The gateway of a stack, over connections that are replaced when they break."""

    def __init__(self, url: str) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        timeout, context = httpx2.Timeout(40.0, connect=10.0), trusted_authorities()
        # A client looks at each of its connections for every request: 800 after an outage kept one busy for 40 s.
        self._clients = [
            httpx2.AsyncClient(base_url=url, limits=limits, timeout=timeout, verify=context) for _ in range(_CLIENTS)
        ]
        self._turns = itertools.cycle(self._clients)

    @contextmanager
    def also(self, url: str) -> Iterator[None]:
        """Send every other request to another gateway of the same stack, for as long as the block lasts."""
        before, another = self._turns, httpx2.AsyncClient(base_url=url, timeout=40.0, verify=trusted_authorities())
        self._clients.append(another)
        self._turns = itertools.cycle(each for client in self._clients[:-1] for each in (client, another))
        yield
        self._turns = before

    def move_to(self, url: str) -> None:
        """Ask at another address from here on, whoever is still asking included."""
        for client in self._clients:
            client.base_url = httpx2.URL(url)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(client.aclose() for client in self._clients))

    async def ask(
        self, method: str, path: str, person: Person | None = None, body: Any = None, **headers: str
    ) -> httpx2.Response:
        """Send one request as this person. Raises: httpx2.TransportError; nobody knows then whether it arrived."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if person is not None:
            named["Authorization"] = f"Bearer {person.token}"
        return await next(self._turns).request(method, path, json=body, headers=named)

    async def insist(
        self,
        method: str,
        path: str,
        person: Person | None = None,
        body: Any = None,
        *,
        expect: Collection[int] = (200, 201),
    ) -> Mapping[str, Any]:
        """Ask until it is answered with an expected status; fail after two minutes, or at once on another refusal."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = await self.ask(method, path, person, body)
            except httpx2.TransportError as failure:
                what = repr(failure)
            else:
                if answer.status_code in expect:
                    content: Mapping[str, Any] = answer.json()
                    return content
                what = f"{answer.status_code} {answer.text}"
                assert answer.status_code in PASSING, f"{method} {path}: {what}"
            assert time.monotonic() < deadline, f"{method} {path} was not answered for two minutes: {what}"
            await asyncio.sleep(_PAUSE_SECONDS)

    async def log_in(self, person: Person, password: str = PASSWORD) -> Person:
        """Give the person a token that lives for some time; nearly free when he has one."""
        if time.monotonic() - person.token_at > _TOKEN_SECONDS:
            asked_at = time.monotonic()
            body = {"email": person.email, "password": password}
            person.token = (await self.insist("POST", "/api/v1/auth/login", body=body))["access_token"]
            person.token_at = asked_at
        return person

    async def register(self, email: str) -> Person:
        """Register somebody and log him in. Told twice, because the first answer was lost, he exists already."""
        body = {"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"}
        await self.insist("POST", "/api/v1/users", body=body, expect=(201, 409))
        person = await self.log_in(Person(email))
        person.user_id = (await self.insist("GET", "/api/v1/me", person))["user_id"]
        return person

    async def open_account(self, person: Person) -> str:
        """Open one more account in dollars and wait until it is active."""
        account = await self.insist("POST", "/api/v1/accounts", person, {"asset": "USD"}, expect=(201, 202))
        account_id: str = account["account_id"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while account["status"] != "active":
            assert time.monotonic() < deadline, f"account {account_id} is {account['status']} after two minutes"
            await asyncio.sleep(_PAUSE_SECONDS)
            account = await self.insist("GET", f"/api/v1/accounts/{account_id}", person)
        person.account_ids.append(account_id)
        return account_id

    async def apply_for_kyc(self, person: Person) -> None:
        """Apply; once is enough, and a second time is refused."""
        body = {"full_name": "Ada Lovelace", "birth_date": "1990-12-10", "country": "DE"}
        await self.insist("POST", "/api/v1/kyc/application", person, body, expect=(201, 409))

    async def approve(self, admin: Person, person: Person) -> None:
        """Approve his application; once is enough, and a second time is refused."""
        path = f"/api/v1/admin/kyc/{person.user_id}/approve"
        await self.insist("POST", path, admin, {"version": 1, "reason": "documents seen"}, expect=(200, 409))
        status = await self.insist("GET", "/api/v1/kyc/status", await self.log_in(person))
        assert status["status"] == "approved", status
