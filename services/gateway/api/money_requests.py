"""What POST /transfers, /transfers/batch and /deposits share: who, how often, how long, and the answer."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.transfers import DEVICE_CHARACTERS_MAX
from libs.common.db.hot import HotConnection
from libs.common.errors import Malformed, TooManyRequests, Unprocessable
from libs.common.http.auth import Principal, TokenVerifier
from libs.common.http.hot import HotAnswer, HotRequest
from libs.common.http.problems import problem_body
from libs.common.origins import Origin, OriginKeys
from libs.common.sentences import detail_of
from services.gateway.api.rate_limits import Counted, RateLimits
from services.gateway.domain.outcomes import HTTP_STATUS, Outcome, http_status_of
from services.gateway.use_cases.accept_atomic_batch import AtomicIntake
from services.gateway.use_cases.accept_transfers import Intake, RequestKey, Submission
from services.gateway.use_cases.foresee_transfer import ForeseeTransfer
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.record_callers import MoneyCallers
from services.gateway.use_cases.watch_ledger import LedgerHalt
from services.gateway.views.transfers import are_replays, read_command, render_dry_run, render_transfer

_PROBLEM = b"application/problem+json"
_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")


@dataclass(slots=True)
class MoneyRoutes:
    """The parts the money routes use."""

    verifier: TokenVerifier
    directory: Directory
    intake: Intake
    atomic_intake: AtomicIntake
    limits: RateLimits
    lookup: HotConnection
    clock: Clock
    foresee: ForeseeTransfer
    origins: OriginKeys
    halt: LedgerHalt = field(default_factory=LedgerHalt)
    callers: MoneyCallers = field(default_factory=MoneyCallers)

    def origin_of(self, request: HotRequest) -> Origin:
        """Return where a request came from. Raises: Malformed device_invalid."""
        device = request.device
        if device and (len(device) > DEVICE_CHARACTERS_MAX or not _VISIBLE.fullmatch(device)):
            raise Malformed(
                "device_invalid", f"Tallystick-Device has up to {DEVICE_CHARACTERS_MAX} printable ASCII characters."
            )
        return Origin(self.origins.address(request.address), self.origins.device(device.decode()) if device else 0)

    async def admit(self, request: HotRequest, asked: Mapping[RequestKey, bytes]) -> Counted | None:
        """Count the request against the rate limits; None if it was not counted.

        Called before anybody is asked whose the accounts are: that may take a call for each. `asked` has the hash of
        the body for each key. Beyond a limit only a replay passes, uncounted: all its keys are known with these bodies.

        Raises: TooManyRequests, Unavailable.
        """
        if self.halt.is_halted and not await asyncio.create_task(are_replays(self.lookup, asked)):
            raise self.halt.refusal()
        if not self._is_limited(request.principal):
            return None
        return await asyncio.create_task(self._admit(request, asked))

    async def _admit(self, request: HotRequest, asked: Mapping[RequestKey, bytes]) -> Counted | None:
        try:
            counted = await self.count(request.address, request.principal)
        except TooManyRequests:
            if not await are_replays(self.lookup, asked):
                raise
            return None
        request.answer_headers = [] if counted is None else list(counted.headers)
        return counted

    async def count(self, address: str, principal: Principal) -> Counted | None:
        """Count a money request, unless limits are off, or off for him. Raises: TooManyRequests, Unavailable."""
        if not self._is_limited(principal):
            return None
        return await self.limits.take_money_request(principal, address, await self.profile_of(principal))

    def _is_limited(self, principal: Principal) -> bool:
        return self.limits.enabled and not principal.is_machine

    async def give_back_replay(self, request: HotRequest, counted: Counted, submissions: Sequence[Submission]) -> None:
        """Give a counted request back what it cost if it was a replay; a batch is one only if nothing in it is new."""
        if submissions and all(submission.stored is not None for submission in submissions):
            await self.limits.give_back(counted)
            request.answer_headers = []

    async def profile_of(self, principal: Principal) -> str:
        """Return whose limits hold for the principal. Raises: Unavailable."""
        if principal.user_id not in self.directory.customers:
            await self.directory.fetch((), principal.user_id)
        return self.directory.customers[principal.user_id].profile


def _answer_body(submission: Submission, outcome: Outcome) -> tuple[int, bytes, bytes]:
    """Return (status, body, content type) for a request's outcome: the same at the first answer and at a replay.

    So a problem's `instance` is the transfer here, and not the request as elsewhere.
    """
    status = http_status_of(outcome)
    problem = problem_of(outcome)
    if problem is not None:
        return status, problem, _PROBLEM
    stored = submission.stored
    if stored is None:
        draft = submission.draft
        body = render_transfer(outcome, draft.kind, draft.legs, draft.memo, submission.accepted_at)
    else:
        command = read_command(stored.command)
        body = render_transfer(outcome, command.kind, command.legs, stored.memo, command.requested_at)
    return status, body, b"application/json"


def require_no_query(request: HotRequest, *, unless: bytes = b"") -> None:
    """Refuse a query that this route does not know. Raises: Unprocessable query_not_understood."""
    if request.query and request.query != unless:
        raise Unprocessable(
            "query_not_understood",
            "Leave the query out; nothing was done. Only POST /api/v1/transfers knows one, dry_run=true.",
        )


def answer_dry_run(outcome: Outcome) -> HotAnswer:
    """Answer what would become of a transfer: always 200, since the question was answered and nothing was done."""
    return HotAnswer(200, render_dry_run(outcome))


def problem_of(outcome: Outcome) -> bytes | None:
    """Return the problem document of a transfer that was blocked, refused or voided; None for any other."""
    status = HTTP_STATUS[outcome.status]
    if status not in (403, 422):
        return None
    facts = {
        **outcome.facts,
        "transfer_id": outcome.transfer_id,
        "transfer_status": outcome.status,
        "instance": f"/api/v1/transfers/{outcome.transfer_id}",
    }
    return problem_body(status, outcome.code, detail_of(outcome.code), facts=facts)


def answer(submission: Submission, outcome: Outcome, applied: str | None) -> HotAnswer:
    """Answer a single request."""
    status, body, media_type = _answer_body(submission, outcome)
    headers: list[tuple[bytes, bytes]] = []
    if status in (201, 202):
        headers.append((b"location", b"/api/v1/transfers/" + outcome.transfer_id.encode()))
    if applied is not None:
        headers.append((b"preference-applied", applied.encode()))
    if submission.stored is not None:
        headers.append((b"idempotency-replayed", b"true"))
    return HotAnswer(status, body, media_type, headers)
