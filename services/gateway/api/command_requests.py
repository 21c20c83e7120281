"""What the routes for commands share: key, wait, rate limits, and the answers that are no success."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from libs.common.db.hot import HotConnection
from libs.common.errors import TooManyRequests
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.problems import problem_response
from libs.common.idempotency_keys import KEY_HEADER
from libs.common.sentences import detail_of
from services.gateway.api.command_models import CommandAccepted
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.api.openapi_money import PREFER_HEADER
from services.gateway.api.preferences import wait_of
from services.gateway.api.request_limits import address_of
from services.gateway.domain.outcomes import http_status_of_refusal
from services.gateway.use_cases.accept_commands import AskedCommand, CommandIntake, TakenCommand

COMMAND_HEADERS: Final[dict[str, Any]] = {"parameters": [KEY_HEADER, PREFER_HEADER]}
"""For OpenAPI: the headers that every command reads."""


@dataclass(frozen=True, slots=True)
class CommandRoutes:
    """The parts the routes for commands use."""

    money: MoneyRoutes
    intake: CommandIntake
    states: HotConnection
    """Where the projection is read that a waiting caller needs at once."""

    async def submit(self, request: Request, principal: Principal, asked: AskedCommand) -> "Decided":
        """Count the command as a money request, keep it and wait; a replay costs nothing and passes beyond the limit.

        Raises: TooManyRequests, Unprocessable idempotency_key_reused, Unavailable.
        """
        wait_seconds, applied = wait_of(request.headers.get("prefer"))
        if self.money.halt.is_halted and not await self.intake.is_replay(asked):
            raise self.money.halt.refusal()
        counted = None
        try:
            counted = await self.money.count(address_of(request), principal)
        except TooManyRequests:
            if not await self.intake.is_replay(asked):
                raise
        asker = asker_of(request)
        taken = await self.intake.submit(replace(asked, asked_from=asker.asked_from()), wait_seconds)
        asker.is_noted_by_owner = True  # the ledger, in the transaction in which it decides; a copy is no new action
        if counted is not None and taken.is_replay:
            await self.money.limits.give_back(counted)
        elif counted is not None:
            request.scope["answer_headers"] = counted.headers
        return Decided(taken, applied)


@dataclass(frozen=True, slots=True)
class Decided:
    """A command with what became of it, to be answered."""

    taken: TakenCommand
    applied: str | None

    def answer(self, status: int, body: bytes, *, location: str = "") -> Response:
        """Answer what was done, or accepted."""
        headers = {"Location": location} if location else {}
        return Response(body, status_code=status, headers=self._with_own(headers), media_type="application/json")

    def accepted(self, location: str) -> Response:
        """Answer that the command is durable and the ledger has not decided, or the projection does not show it yet."""
        command = self.taken.command
        body = CommandAccepted(command_id=command.command_id, subject_id=command.subject_id)
        return self.answer(202, body.model_dump_json().encode(), location=location)

    def refused(self, instance: str, facts: Mapping[str, str]) -> Response:
        """Answer with the ledger's refusal; `facts` names what it is about."""
        outcome = self.taken.command.outcome
        return problem_response(
            http_status_of_refusal(outcome.code),
            outcome.code,
            detail_of(outcome.code),
            facts={**outcome.facts, **facts, "instance": instance},
            headers=self._with_own({}),
        )

    def _with_own(self, headers: dict[str, str]) -> dict[str, str]:
        if self.applied is not None:
            headers["Preference-Applied"] = self.applied
        if self.taken.is_replay:
            headers["Idempotency-Replayed"] = "true"
        return headers
