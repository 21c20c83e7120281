"""POST /api/v1/transfers and /api/v1/deposits: the hot route.

Plain Starlette routes with msgspec: a FastAPI route with models costs 119 µs more a request and would be the ceiling of
the whole platform. Their OpenAPI text stands in `openapi_money.py`, made from the same types.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.http.auth import Principal
from services.gateway.api.money_requests import MoneyRoutes, answer
from services.gateway.api.preferences import wait_of
from services.gateway.domain.idempotency import hash_body, read_key
from services.gateway.domain.outcomes import Outcome
from services.gateway.domain.requests import legs_of, memo_of, read_deposit, read_transfer
from services.gateway.use_cases.accept_transfers import Submission
from services.gateway.use_cases.prepare_transfer import Draft, prepare_deposit, prepare_transfer

_Prepare = Callable[[MoneyRoutes, Principal, bytes], Awaitable[tuple[bytes, Draft]]]


def money_routes(parts: MoneyRoutes) -> list[Route]:
    """Return the two routes."""
    return [
        Route("/api/v1/transfers", _endpoint(parts, "transfers", _transfer), methods=["POST"]),
        Route("/api/v1/deposits", _endpoint(parts, "deposits", _deposit), methods=["POST"]),
    ]


def _endpoint(parts: MoneyRoutes, scope: str, prepare: _Prepare) -> Callable[[Request], Awaitable[Response]]:
    loop_of = asyncio.get_running_loop
    template = f"/api/v1/{scope}"

    async def post(request: Request) -> Response:
        request.scope["route_template"] = template
        headers = request.headers
        principal = parts.verifier.verify(headers.get("authorization"))
        key = read_key(headers.get("idempotency-key"))
        wait_seconds, applied = wait_of(headers.get("prefer"))
        body_hash, draft = await prepare(parts, principal, await request.body())
        counted = await parts.admit(request, principal, [(principal.user_id, scope, key)])
        answered: asyncio.Future[Outcome] = loop_of().create_future()
        submission = Submission(scope, key, body_hash, draft, wait_seconds, answered)
        parts.intake.submit(submission)
        outcome = await answered
        await parts.settle_admission(request, principal, [submission], counted=counted)
        return answer(submission, outcome, applied)

    return post


async def _transfer(parts: MoneyRoutes, principal: Principal, body: bytes) -> tuple[bytes, Draft]:
    asked = read_transfer(body)
    memo = memo_of(asked.description, asked.metadata)
    return hash_body(asked), await prepare_transfer(principal, legs_of(asked), memo, parts.directory)


async def _deposit(parts: MoneyRoutes, principal: Principal, body: bytes) -> tuple[bytes, Draft]:
    asked = read_deposit(body)
    return hash_body(asked), await prepare_deposit(principal, asked, parts.directory)
