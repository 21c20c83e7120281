"""POST /api/v1/transfers/batch: up to 1,000 transfers, atomic or each on its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.errors import TallystickError
from libs.common.http.auth import Principal
from libs.common.http.problems import problem_body
from services.gateway.api.money_requests import MoneyRoutes, answer_body
from services.gateway.api.preferences import wait_of
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.outcomes import Outcome
from services.gateway.domain.requests import BatchIn, BatchItemIn, legs_of, memo_of, read_batch
from services.gateway.use_cases.accept_transfers import Submission
from services.gateway.use_cases.prepare_transfer import prepare_transfer

_encode = msgspec.json.Encoder().encode
_TEMPLATE = "/api/v1/transfers/batch"
_BATCH_WAIT_SECONDS = 15.0


class BatchResult(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What became of one transfer of a batch; `problem` is there when it was not accepted."""

    idempotency_key: str
    status: str
    transfer_id: str | None = None
    problem: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class BatchOut(msgspec.Struct, frozen=True, gc=False):
    """The results, in the order of the request."""

    results: list[BatchResult]


def batch_routes(parts: MoneyRoutes) -> list[Route]:
    """Return the route."""

    async def post(request: Request) -> Response:
        request.scope["route_template"] = _TEMPLATE
        principal = parts.verifier.verify(request.headers.get("authorization"))
        prefer = request.headers.get("prefer")
        wait_seconds, applied = wait_of(prefer)
        if applied is None:
            wait_seconds = _BATCH_WAIT_SECONDS
        batch = read_batch(await request.body())
        await parts.admit(request, principal, (principal.user_id, "batch", batch.transfers[0].idempotency_key))
        request_id = request.scope["request_id"]
        if batch.mode == "atomic":
            results, submissions = await _post_atomic(parts, principal, batch, wait_seconds, request_id)
        else:
            results, submissions = await _post_independent(parts, principal, batch, wait_seconds, request_id)
        if submissions:
            await parts.settle_admission(request, principal, submissions[0])
        response = Response(
            _encode(BatchOut(results)), status_code=_status(batch, results), media_type="application/json"
        )
        if applied is not None:
            response.headers["Preference-Applied"] = applied
        return response

    return [Route(_TEMPLATE, post, methods=["POST"])]


async def _post_independent(
    parts: MoneyRoutes, principal: Principal, batch: BatchIn, wait_seconds: float, request_id: str
) -> tuple[list[BatchResult], list[Submission]]:
    """Submit each transfer on its own; one that cannot be taken does not keep the others back."""
    outcomes: list[Submission | TallystickError] = []
    for item in batch.transfers:
        try:
            submission = await _submission(parts, principal, item, hash_body(item), wait_seconds)
            parts.intake.submit(submission)
        except TallystickError as error:
            outcomes.append(error)
        else:
            outcomes.append(submission)
    submitted = [entry for entry in outcomes if isinstance(entry, Submission)]
    await asyncio.gather(*(entry.answer for entry in submitted), return_exceptions=True)
    results = [
        _refused(item, entry, request_id) if isinstance(entry, TallystickError) else _result_of(item, entry, request_id)
        for item, entry in zip(batch.transfers, outcomes, strict=True)
    ]
    return results, submitted


async def _post_atomic(
    parts: MoneyRoutes, principal: Principal, batch: BatchIn, wait_seconds: float, request_id: str
) -> tuple[list[BatchResult], list[Submission]]:
    """Submit the batch whole. Each body hash covers all of it: the same keys in another batch are another request."""
    whole = hash_body(batch)
    submissions = [await _submission(parts, principal, item, whole, wait_seconds) for item in batch.transfers]
    await parts.atomic_intake.submit(submissions)
    await asyncio.gather(*(submission.answer for submission in submissions), return_exceptions=True)
    results = [
        _result_of(item, submission, request_id) for item, submission in zip(batch.transfers, submissions, strict=True)
    ]
    return results, submissions


async def _submission(
    parts: MoneyRoutes, principal: Principal, item: BatchItemIn, body_hash: bytes, wait_seconds: float
) -> Submission:
    memo = memo_of(item.description, item.metadata)
    draft = await prepare_transfer(principal, legs_of(item), memo, parts.directory)
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    return Submission("batch", item.idempotency_key, body_hash, draft, wait_seconds, answered)


def _result_of(item: BatchItemIn, submission: Submission, request_id: str) -> BatchResult:
    failure = submission.answer.exception()
    if failure is not None:
        if not isinstance(failure, TallystickError):
            raise failure
        return _refused(item, failure, request_id)
    outcome = submission.answer.result()
    status, body, _ = answer_body(submission, outcome, request_id)
    return BatchResult(
        idempotency_key=item.idempotency_key,
        status=outcome.status,
        transfer_id=outcome.transfer_id,
        problem=msgspec.Raw(body) if status in (403, 422) else msgspec.UNSET,
    )


def _refused(item: BatchItemIn, error: TallystickError, request_id: str) -> BatchResult:
    facts: dict[str, Any] = error.facts
    body = problem_body(error.http_status, error.code, error.detail, request_id=request_id, facts=facts)
    return BatchResult(idempotency_key=item.idempotency_key, status="refused", problem=msgspec.Raw(body))


def _status(batch: BatchIn, results: Sequence[BatchResult]) -> int:
    """Return 201 when all posted, 422 when an atomic batch was refused, else 200."""
    statuses = {result.status for result in results}
    if statuses == {"posted"}:
        return 201
    if batch.mode == "atomic" and statuses & {"refused", "blocked", "voided"}:
        return 422
    return 200
