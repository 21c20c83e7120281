"""The customers and accounts that the load moves money between, made through the API like anybody's."""

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

CUSTOMERS: Final = 40
ACCOUNTS_EACH: Final = 25
START_MINOR: Final = 90_000_000
_AT_ONCE: Final = 4
_PASSWORD_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer of the world: his token, his accounts, and what he logs in with."""

    token: str
    account_ids: tuple[str, ...]
    email: str
    password: str = field(repr=False)


async def make_world(
    api: str, admin: dict[str, str], *, customers: int = CUSTOMERS, accounts_each: int = ACCOUNTS_EACH
) -> list[Customer]:
    """Register customers, verify them, open and fund their accounts. Takes some tens of seconds."""
    async with httpx2.AsyncClient(base_url=api, timeout=30) as client:
        gate = asyncio.Semaphore(_AT_ONCE)
        operator = await log_in(client, admin["email"], admin["password"])

        async def make(number: int) -> Customer:
            async with gate:
                return await _make_customer(client, operator, number, accounts_each)

        return await asyncio.gather(*(make(number) for number in range(customers)))


def write_world(customers: list[Customer], file: Path) -> None:
    """Write what the load script reads; the tokens in it are worth money, so it is the owner's alone."""
    file.touch(mode=0o600)
    file.write_text("".join(f"{c.token} {' '.join(c.account_ids)}\n" for c in customers))


@dataclass(frozen=True, slots=True)
class Applicant:
    """Somebody who has registered and applied."""

    user_id: str
    token: str
    email: str
    password: str = field(repr=False)


async def register_applicant(client: httpx2.AsyncClient, number: int) -> Applicant:
    """Register somebody who has applied and was not looked at yet."""
    email, password = f"bench-{number}-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(_PASSWORD_BYTES)
    user = await post(client, "/users", {"email": email, "password": password, "full_name": f"Bench {number}"})
    token = await log_in(client, email, password)
    await post(
        client, "/kyc/application", {"full_name": f"Bench {number}", "birth_date": "1990-01-01", "country": "DE"}, token
    )
    return Applicant(str(user["user_id"]), token, email, password)


async def _make_customer(client: httpx2.AsyncClient, operator: str, number: int, accounts: int) -> Customer:
    applicant = await register_applicant(client, number)
    await post(client, f"/admin/kyc/{applicant.user_id}/approve", {"version": 1, "reason": "benchmark"}, operator)
    ids = [(await post(client, "/accounts", {"asset": "USD"}, applicant.token))["account_id"] for _ in range(accounts)]
    deposits = (
        {"account_id": account_id, "amount_minor": START_MINOR, "asset": "USD", "reference": "benchmark"}
        for account_id in ids
    )
    await asyncio.gather(*(post(client, "/deposits", deposit, operator) for deposit in deposits))
    return Customer(applicant.token, tuple(ids), applicant.email, applicant.password)


async def log_in(client: httpx2.AsyncClient, email: str, password: str) -> str:
    """Return somebody's access token."""
    answer = await post(client, "/auth/login", {"email": email, "password": password})
    return str(answer["access_token"])


async def post(client: httpx2.AsyncClient, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    """Send one request under a key of its own and return the answer. Raises: RuntimeError unless it is a success."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(12), "Prefer": "wait=20"}
    answer = await client.post(f"/api/v1{path}", json=body, headers=headers if token else {})
    if not answer.is_success:
        message = f"setting up: POST {path} answered {answer.status_code}: {answer.text}"
        raise RuntimeError(message)
    document: dict[str, Any] = answer.json()
    return document
