"""What accounts knows and what the ledger holds become one answer, and neither is shown to whom the other hides it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from libs.common.ids import new_id
from services.gateway.api.accounts import accounts_router
from tests.support.api_world import TokenKeys, http_client

ACCOUNT_ID = new_id()
KNOWN = {
    "account_id": ACCOUNT_ID,
    "status": "active",
    "is_primary": True,
    "name": "Rent",
    "metadata": {"flat": "4b"},
    "posted_minor": 0,
    "version": 0,
}
BOOKS = {"account_id": ACCOUNT_ID, "status": "frozen", "posted_minor": 700, "version": 3, "minimum_minor": -5}
UNKNOWN = {"code": "account_not_found"}
Answer = tuple[int, Mapping[str, Any]] | httpx2.HTTPError


def service(answer: Answer, heard: list[httpx2.Request]) -> httpx2.AsyncClient:
    """Stand for a service that answers so."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        heard.append(request)
        if isinstance(answer, httpx2.HTTPError):
            raise answer
        return httpx2.Response(answer[0], json=dict(answer[1]), headers={"Retry-After": "1"})

    return httpx2.AsyncClient(base_url="http://neighbour", transport=httpx2.MockTransport(respond))


@asynccontextmanager
async def gateway(
    folder: Path, accounts: Answer, ledger: Answer, heard: list[httpx2.Request]
) -> AsyncIterator[tuple[httpx2.AsyncClient, TokenKeys]]:
    keys = TokenKeys(folder)
    async with (
        service(accounts, heard) as one,
        service(ledger, heard) as other,
        http_client("gateway", [accounts_router(one, other)], keys) as http,
    ):
        yield http, keys


async def ask(
    folder: Path, accounts: Answer, ledger: Answer, *roles: str, account_id: str = ACCOUNT_ID
) -> tuple[httpx2.Response, list[httpx2.Request]]:
    heard: list[httpx2.Request] = []
    async with gateway(folder, accounts, ledger, heard) as (http, keys):
        answer = await http.get(f"/api/v1/accounts/{account_id}", headers=keys.bearer(new_id(), *roles))
    return answer, heard


async def test_the_ledgers_word_stands_wherever_both_have_one(tmp_path: Path) -> None:
    answer, heard = await ask(tmp_path, (200, KNOWN), (200, BOOKS))
    assert (answer.status_code, answer.json()) == (200, {**KNOWN, **BOOKS})
    assert len({request.headers["authorization"] for request in heard}) == 1, "both hear the caller's own token"
    assert [request.url.path for request in heard] == [f"/api/v1/accounts/{ACCOUNT_ID}"] * 2


async def test_an_account_that_the_ledger_has_not_opened_is_shown_as_accounts_knows_it(tmp_path: Path) -> None:
    answer, _ = await ask(tmp_path, (200, KNOWN), (404, UNKNOWN))
    assert (answer.status_code, answer.json()) == (200, KNOWN)


@pytest.mark.parametrize(("role", "status"), [("customer", 404), ("auditor", 200)])
async def test_what_accounts_hides_the_books_show_to_staff_alone(tmp_path: Path, role: str, status: int) -> None:
    answer, _ = await ask(tmp_path, (404, UNKNOWN), (200, BOOKS), role)
    assert (answer.status_code, answer.json()) == (status, BOOKS if status == 200 else UNKNOWN)


async def test_what_nobody_knows_is_not_found(tmp_path: Path) -> None:
    answer, _ = await ask(tmp_path, (404, UNKNOWN), (404, UNKNOWN), "auditor")
    assert (answer.status_code, answer.json()) == (404, UNKNOWN)
    answer, heard = await ask(tmp_path, (200, KNOWN), (200, BOOKS), account_id="x")
    assert (answer.status_code, answer.json()["code"], heard) == (404, "account_not_found", [])


@pytest.mark.parametrize(("accounts", "ledger"), [((503, {}), (200, BOOKS)), ((200, KNOWN), (503, {}))])
async def test_half_an_answer_is_none(tmp_path: Path, accounts: Answer, ledger: Answer) -> None:
    answer, _ = await ask(tmp_path, accounts, ledger)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_service_that_is_away_makes_it_unavailable(tmp_path: Path) -> None:
    answer, _ = await ask(tmp_path, (200, KNOWN), httpx2.ConnectError("refused"))
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
