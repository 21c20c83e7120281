"""POST /api/v1/transfers/batch: up to 1,000 transfers together, or up to 10,000 each on its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from libs.common.errors import Conflict, Forbidden, Malformed, TallystickError, Unavailable
from libs.common.http.auth import Principal
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotAnswer, HotEndpoint, HotRequest
from libs.common.http.large_bodies import MAX_BATCH_BODY_BYTES
from libs.common.http.problems import problem_body
from libs.common.origins import Origin
from services.gateway.api.money_requests import MoneyRoutes, problem_of, require_no_query
from services.gateway.api.preferences import wait_of
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.outcomes import Outcome
from services.gateway.domain.requests import BatchIn, BatchItemIn, hold_seconds_of, legs_of, memo_of, read_batch
from services.gateway.use_cases.accept_transfers import Submission
from services.gateway.use_cases.prepare_transfer import prepare_transfer

_encode = msgspec.json.Encoder().encode
_BATCH_WAIT_SECONDS = 15.0
_ITEMS_A_TURN: Final = 200

_Item = TypeVar("_Item")


class _Asked(NamedTuple):
    """How long the caller waits, and where he is."""

    wait_seconds: float
    origin: Origin


class BatchResult(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What became of one transfer of a batch; `problem` says why it was not carried out.

    `status` is a transfer's, or `unknown`: the transfer could not be taken now, send the same again. `resolver` says
    who ends a hold: `caller` or `fraud`; yours ends by itself at `expires_at`.
    """

    idempotency_key: str
    status: str
    transfer_id: str | None
    resolver: str = ""
    expires_at: str = ""
    problem: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class BatchOut(msgspec.Struct, frozen=True, gc=False):
    """The results, in the order of the request."""

    results: list[BatchResult]


def batch_endpoint(parts: MoneyRoutes) -> dict[str, HotEndpoint]:
    """Return path → endpoint."""

    async def post(request: HotRequest) -> HotAnswer:
        principal = request.principal
        require_no_query(request)
        wait_seconds, applied = wait_of(request.prefer)
        if applied is None:
            wait_seconds = _BATCH_WAIT_SECONDS
        origin = parts.origin_of(request)
        batch = read_batch(request.body)
        hashes = await _body_hashes(batch)
        keys = ((principal.user_id, "batch", item.idempotency_key) for item in batch.transfers)
        counted = await parts.admit(request, dict(zip(keys, hashes, strict=True)))
        post_batch = _post_atomic if batch.mode == "atomic" else _post_independent
        results, submissions = await post_batch(parts, principal, batch, hashes, _Asked(wait_seconds, origin))
        _note_callers(parts, request, submissions)
        if counted is not None and len(submissions) == len(batch.transfers):
            await parts.give_back_replay(request, counted, submissions)
        headers = [] if applied is None else [(b"preference-applied", applied.encode())]
        return HotAnswer(_status(batch, results), _encode(BatchOut(results)), headers=headers)

    return {
        "/api/v1/transfers/batch": GuardedEndpoint(
            "transfer.create",
            parts.verifier,
            lambda request: asyncio.create_task(post(request)),
            max_body_bytes=MAX_BATCH_BODY_BYTES,
        )
    }


def _note_callers(parts: MoneyRoutes, request: HotRequest, submissions: Sequence[Submission]) -> None:
    for submission in submissions:
        if submission.stored is None and submission.answer.exception() is None:
            parts.callers.note(submission.answer.result().transfer_id, request)


async def _body_hashes(batch: BatchIn) -> list[bytes]:
    """Return the body hash of each transfer.

    That of an atomic batch covers all of it: the same keys in another batch are another request.
    """
    if batch.mode == "atomic":
        return [hash_body(batch)] * len(batch.transfers)
    return [hash_body(item) async for item in _breathing(batch.transfers)]


async def _breathing(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Yield the items, and let everybody else have a turn now and then: ten thousand take most of a second."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _ITEMS_A_TURN == 0:
            await asyncio.sleep(0)


async def _post_independent(
    parts: MoneyRoutes, principal: Principal, batch: BatchIn, hashes: Sequence[bytes], asked: _Asked
) -> tuple[list[BatchResult], list[Submission]]:
    """Submit each transfer on its own; one that cannot be taken does not keep the others back.

    Raises: Unavailable, before anything is submitted: when a neighbour is away, it is away for the whole batch, and
    so is the room for it.
    """
    parts.intake.require_room(len(batch.transfers))
    await _look_up(parts, principal, batch)
    entries: list[Submission | TallystickError] = []
    async for item, body_hash in _breathing(zip(batch.transfers, hashes, strict=True)):
        try:
            entries.append(await _submission(parts, principal, item, body_hash, asked))
        except (Malformed, Forbidden) as refusal:
            entries.append(refusal)
    entries = [_submitted(parts, entry) for entry in entries]
    submitted = [entry for entry in entries if isinstance(entry, Submission)]
    await _settled(submitted)
    pairs = _breathing(zip(batch.transfers, entries, strict=True))
    return [_result_of(item, entry) async for item, entry in pairs], submitted


async def _look_up(parts: MoneyRoutes, principal: Principal, batch: BatchIn) -> None:
    """Bring what all transfers need to know of accounts into memory, in one question. Raises: Unavailable."""
    legs = [leg for item in batch.transfers for leg in (item.legs or (item,))]
    sources = (leg.source_account_id for leg in legs)
    destinations = (leg.destination_account_id for leg in legs)
    account_ids = {account_id for account_id in (*sources, *destinations) if account_id is not None}
    if not parts.directory.has(account_ids, principal.user_id):
        await parts.directory.fetch(account_ids, principal.user_id)


def _submitted(parts: MoneyRoutes, entry: Submission | TallystickError) -> Submission | TallystickError:
    if isinstance(entry, Submission):
        try:
            parts.intake.submit(entry)
        except (Conflict, Unavailable) as error:
            return error
    return entry


async def _post_atomic(
    parts: MoneyRoutes, principal: Principal, batch: BatchIn, hashes: Sequence[bytes], asked: _Asked
) -> tuple[list[BatchResult], list[Submission]]:
    """Submit the batch whole."""
    await _look_up(parts, principal, batch)
    submissions = [
        await _submission(parts, principal, item, body_hash, asked)
        for item, body_hash in zip(batch.transfers, hashes, strict=True)
    ]
    await parts.atomic_intake.submit(submissions)
    await _settled(submissions)
    return [_result_of(item, entry) for item, entry in zip(batch.transfers, submissions, strict=True)], submissions


async def _submission(
    parts: MoneyRoutes, principal: Principal, item: BatchItemIn, body_hash: bytes, asked: _Asked
) -> Submission:
    memo = memo_of(item.description, item.metadata)
    hold_seconds = hold_seconds_of(item)
    draft = await prepare_transfer(principal, legs_of(item), memo, parts.directory, hold_seconds=hold_seconds)
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    draft.origin = asked.origin
    return Submission("batch", item.idempotency_key, body_hash, draft, asked.wait_seconds, answered)


async def _settled(submissions: Sequence[Submission]) -> None:
    """Wait for every answer. One after the other, because they come hundreds at a time: most are there already."""
    for submission in submissions:
        if not submission.answer.done():
            await asyncio.wait([submission.answer])


def _result_of(item: BatchItemIn, entry: Submission | TallystickError) -> BatchResult:
    if isinstance(entry, TallystickError):
        return _not_taken(item, entry)
    failure = entry.answer.exception()
    if isinstance(failure, TallystickError):
        return _not_taken(item, failure)
    if failure is not None:
        raise failure
    outcome = entry.answer.result()
    problem = problem_of(outcome)
    return BatchResult(
        idempotency_key=item.idempotency_key,
        status=outcome.status,
        transfer_id=outcome.transfer_id,
        resolver=outcome.settlement.resolver if outcome.status == "held" else "",
        expires_at=outcome.settlement.expires_at if outcome.status == "held" else "",
        problem=msgspec.UNSET if problem is None else msgspec.Raw(problem),
    )


def _not_taken(item: BatchItemIn, error: TallystickError) -> BatchResult:
    """Say that nothing was stored now. After a conflict or a failure an earlier copy may be: that is no refusal."""
    status = "refused" if isinstance(error, Malformed | Forbidden) else "unknown"
    body = problem_body(error.http_status, error.code, error.detail, facts=error.facts)
    return BatchResult(idempotency_key=item.idempotency_key, status=status, transfer_id=None, problem=msgspec.Raw(body))


def _status(batch: BatchIn, results: Sequence[BatchResult]) -> int:
    """Return 201 when all posted, 422 when an atomic batch was refused, else 200."""
    statuses = {result.status for result in results}
    if statuses == {"posted"}:
        return 201
    if batch.mode == "atomic" and statuses & {"refused", "blocked", "voided"}:
        return 422
    return 200
