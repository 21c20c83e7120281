"""POST /api/v1/transfers, /api/v1/deposits and /api/v1/withdrawals: the hot route.

Hot endpoints with msgspec: a FastAPI route with models costs 119 µs more a request and would be the ceiling of the
whole platform. Their OpenAPI text stands in `openapi_money.py`, made from the same types.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from opentelemetry.trace import Span, SpanKind, StatusCode

from libs.common.http.auth import Principal
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotAnswer, HotEndpoint, HotRequest
from libs.common.idempotency_keys import read_key, require_readable
from libs.common.telemetry.traces import begin_span
from services.gateway.api.money_requests import MoneyRoutes, answer, answer_dry_run, require_no_query
from services.gateway.api.preferences import wait_of
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.outcomes import Outcome
from services.gateway.domain.requests import (
    DepositIn,
    TransferIn,
    WithdrawalIn,
    hold_seconds_of,
    legs_of,
    memo_of,
    read_deposit,
    read_transfer,
    read_withdrawal,
)
from services.gateway.use_cases.accept_transfers import Submission
from services.gateway.use_cases.prepare_transfer import Draft, prepare_deposit, prepare_transfer, prepare_withdrawal

log = structlog.get_logger()

_Asked = TypeVar("_Asked")


def money_endpoints(parts: MoneyRoutes) -> dict[str, HotEndpoint]:
    """Return path → endpoint."""
    return {
        "/api/v1/transfers": GuardedEndpoint(
            "transfer.create", parts.verifier, _endpoint(parts, "transfers", read_transfer, _prepare_transfer)
        ),
        "/api/v1/deposits": GuardedEndpoint(
            "deposit.create", parts.verifier, _endpoint(parts, "deposits", read_deposit, _prepare_deposit)
        ),
        "/api/v1/withdrawals": GuardedEndpoint(
            "withdrawal.create",
            parts.verifier,
            _endpoint(parts, "withdrawals", read_withdrawal, _prepare_withdrawal),
        ),
    }


def _endpoint(
    parts: MoneyRoutes,
    scope: str,
    read: Callable[[bytes], _Asked],
    prepare: Callable[[MoneyRoutes, Principal, _Asked], Awaitable[Draft]],
) -> HotEndpoint:
    loop_of = asyncio.get_running_loop

    async def take(request: HotRequest, span: Span | None) -> HotAnswer:
        principal = request.principal
        if request.query:
            # What is not understood must not be done in earnest: `?dryrun=true` moves no money.
            require_no_query(request, unless=b"dry_run=true" if scope == "transfers" else b"")
            return await asyncio.create_task(run_dry(request, principal))
        key = read_key(request.idempotency_key)
        wait_seconds, applied = wait_of(request.prefer)
        origin = parts.origin_of(request)
        asked = read(request.body)
        body_hash = hash_body(asked)
        counted = await parts.admit(request, {(principal.user_id, scope, key): body_hash})
        draft = await prepare(parts, principal, asked)
        draft.origin = origin
        answered: asyncio.Future[Outcome] = loop_of().create_future()
        submission = Submission(scope, key, body_hash, draft, wait_seconds, answered, span)
        parts.intake.submit(submission)
        outcome = await answered
        if submission.stored is None:
            parts.callers.note(outcome.transfer_id, request)
        if outcome.status != "posted":
            log.info(
                "transfer_answered",
                request_id=request.request_id,
                transfer_id=outcome.transfer_id,
                status=outcome.status,
                code=outcome.code,
            )
        if counted is not None:
            await asyncio.create_task(parts.give_back_replay(request, counted, [submission]))
        return answer(submission, outcome, applied)

    async def run_dry(request: HotRequest, principal: Principal) -> HotAnswer:
        require_readable(request.idempotency_key)
        parts.origin_of(request)  # whoever tries it first learns what will be refused
        asked = read(request.body)
        counted = await parts.count(request.address, principal)
        request.answer_headers = [] if counted is None else list(counted.headers)
        return answer_dry_run(await parts.foresee(await prepare(parts, principal, asked)))

    async def traced(request: HotRequest) -> HotAnswer:
        span = begin_span("gateway.accept", request.traceparent, SpanKind.SERVER)
        try:
            return await take(request, span)
        except BaseException:
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            # The intake has ended it if it stored the request; a refusal and a replay end here.
            if span.is_recording():
                span.end()

    return lambda request: traced(request) if request.traceparent else take(request, None)


async def _prepare_transfer(parts: MoneyRoutes, principal: Principal, asked: TransferIn) -> Draft:
    memo = memo_of(asked.description, asked.metadata)
    hold_seconds = hold_seconds_of(asked)
    return await prepare_transfer(principal, legs_of(asked), memo, parts.directory, hold_seconds=hold_seconds)


async def _prepare_deposit(parts: MoneyRoutes, principal: Principal, asked: DepositIn) -> Draft:
    return await prepare_deposit(principal, asked, parts.directory)


async def _prepare_withdrawal(parts: MoneyRoutes, principal: Principal, asked: WithdrawalIn) -> Draft:
    return await prepare_withdrawal(principal, asked, parts.directory)
