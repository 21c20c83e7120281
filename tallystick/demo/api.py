"""The platform as an API consumer sees it: one HTTP client that waits when it is told to."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx2

from tallystick.stack.errors import StackError

_CONNECTIONS: Final = 32
_OUTCOME_SECONDS: Final = 30
"""How long an answer may wait for what becomes of a transfer: long enough that `accepted` means something is wrong."""
_TIMEOUT: Final = httpx2.Timeout(40.0, connect=5.0)
_WAITS_MAX: Final = 20
_SHOWN_MAX: Final = 500
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

Told = Callable[[str], None]
"""Told what a person should know while something takes its time."""


class DemoFailed(StackError):
    """The platform answered what the story cannot go on with; the text says what was asked and what came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, and what it answers."""

    asked: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        """Return status and body as they came: two answers with the same text are the same, byte for byte."""
        return f"{self.status} {self.body.decode('utf-8', 'backslashreplace')}"

    def json(self) -> dict[str, Any]:
        """Return the body's object. Raises: DemoFailed."""
        try:
            content = json.loads(self.body)
        except ValueError as error:
            raise DemoFailed(f"{self.asked} answered {self.status} with something that is no JSON") from error
        if not isinstance(content, dict):
            raise DemoFailed(f"{self.asked} answered {self.status} with something that is no JSON object")
        return content

    def expect(self, *statuses: int) -> dict[str, Any]:
        """Return the body's object when the status is one of these. Raises: DemoFailed."""
        if self.status not in statuses:
            raise DemoFailed(f"{self.asked} answered {self.text[:_SHOWN_MAX]}")
        return self.json()


class Api:
    """Sends requests below `/api/v1`. Whoever is asked to slow down does."""

    def __init__(self, client: httpx2.AsyncClient, told: Told) -> None:
        """Use a client whose base address is the gateway's."""
        self._client = client
        self._told = told

    async def get(self, path: str, *, token: str | None = None) -> Answer:
        """GET. Raises: DemoFailed when nobody answers."""
        return await self._send("GET", path, token=token)

    async def post(self, path: str, body: object, *, token: str | None = None, key: str | None = None) -> Answer:
        """POST JSON, with an idempotency key where money moves. Raises: DemoFailed when nobody answers."""
        return await self._send("POST", path, body, token=token, key=key)

    async def put(self, path: str, body: object, *, token: str) -> Answer:
        """PUT JSON. Raises: DemoFailed when nobody answers."""
        return await self._send("PUT", path, body, token=token)

    async def _send(
        self, method: str, path: str, body: object = None, *, token: str | None = None, key: str | None = None
    ) -> Answer:
        headers = {"Prefer": f"wait={_OUTCOME_SECONDS}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        asked = f"{method} {path}"
        for _ in range(_WAITS_MAX):
            try:
                response = await self._client.request(method, f"/api/v1{path}", json=body, headers=headers)
            except httpx2.HTTPError as error:
                raise DemoFailed(f"{asked} got no answer: {error!r}") from error
            if response.status_code not in _BUSY:
                return Answer(asked, response.status_code, response.content)
            await self._wait(asked, response)
        raise DemoFailed(f"{asked} was put off {_WAITS_MAX} times")

    async def _wait(self, asked: str, response: httpx2.Response) -> None:
        text = response.headers.get("retry-after", "1")
        seconds = int(text) if text.isdigit() else 1
        self._told(f"{asked} is put off for {seconds} s ({response.status_code}): {_detail(response)}")
        await asyncio.sleep(seconds)


def make_client(address: str) -> httpx2.AsyncClient:
    """Return a client for a gateway's address, to be closed by the caller."""
    limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    return httpx2.AsyncClient(base_url=address, timeout=_TIMEOUT, limits=limits, trust_env=False)


def _detail(response: httpx2.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
