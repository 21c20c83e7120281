"""What an account may do: PUT /api/v1/admin/accounts/{id}/status and /limits by staff, closing it by its owner."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from libs.common.contracts.gateway import ChangeAccount
from libs.common.errors import NotFound
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from libs.common.idempotency_keys import read_key
from libs.common.ids import is_id
from services.gateway.api.command_models import AccountStateOut, ClosingIn, CommandAccepted, LimitsIn, StatusIn
from services.gateway.api.command_requests import COMMAND_HEADERS, CommandRoutes
from services.gateway.domain.idempotency import hash_body
from services.gateway.use_cases.accept_commands import AskedCommand
from services.gateway.use_cases.prepare_transfer import commit_to
from services.gateway.views.ledger_states import await_account_state

AccountPath = Annotated[str, Path(max_length=64)]
IdempotencyKey = Annotated[str | None, Header(include_in_schema=False)]

_KEYED: Final = (
    "account_not_found",
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "idempotency_key_reused",
)
_COMMON: Final = (*_KEYED, "role_required", "own_account", "system_account")
_ACCEPTED: Final = {"description": "Durable, not decided yet.", "model": CommandAccepted}


def account_commands_router(parts: CommandRoutes) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/admin/accounts", tags=["staff"])

    @router.put(
        "/{account_id}/status",
        summary="Freeze, suspend, close or reopen an account",
        response_model=AccountStateOut,
        responses={202: _ACCEPTED, **refusals(*_COMMON, "account_not_empty")},
        openapi_extra=COMMAND_HEADERS,
    )
    async def put_status(
        account_id: AccountPath,
        body: StatusIn,
        principal: Annotated[Principal, permitted("account.set_status")],
        request: Request,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Set what the account may do; answered with its state as the ledger decided it.

        Needs the role compliance or operator. What is closed can be made active again.
        """
        change = _Change("account-status", body.reason, status=body.status)
        key = read_key(idempotency_key)
        await _require_somebody_elses(parts, principal, account_id)
        return await _submit(parts, request, principal, account_id, key, change)

    @router.put(
        "/{account_id}/limits",
        summary="Set the least and the most an account may hold",
        response_model=AccountStateOut,
        responses={
            202: _ACCEPTED,
            **refusals(
                *_COMMON, "number_not_whole", "minimum_above_maximum", "minimum_above_balance", "maximum_below_balance"
            ),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def put_limits(
        account_id: AccountPath,
        body: LimitsIn,
        principal: Annotated[Principal, permitted("account.set_limits")],
        request: Request,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Set the limits, a minimum below zero being an overdraft. Needs the role operator."""
        change = _Change(
            "account-limits", body.reason, minimum_minor=body.minimum_minor, maximum_minor=body.maximum_minor
        )
        key = read_key(idempotency_key)
        await _require_somebody_elses(parts, principal, account_id)
        return await _submit(parts, request, principal, account_id, key, change)

    return router


def account_closing_router(parts: CommandRoutes) -> APIRouter:
    """Return the route by which owners close their accounts."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.post(
        "/{account_id}/close",
        summary="Close an account of yours",
        response_model=AccountStateOut,
        responses={
            202: _ACCEPTED,
            **refusals(*_KEYED, "account_not_empty", "account_closed", "account_suspended", "account_frozen"),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def close(
        account_id: AccountPath,
        principal: Annotated[Principal, permitted("account.close")],
        request: Request,
        body: ClosingIn | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Close an active account that holds nothing and has nothing pending; the ledger decides.

        Its entries stay readable, and it can be opened again by staff. When it was your primary one, the oldest of
        your open accounts follows it.
        """
        key = read_key(idempotency_key)
        await _require_own(parts, principal, account_id)
        change = _Change(
            "account-closings", None if body is None else body.reason, status="closed", only_while="active"
        )
        return await _submit(parts, request, principal, account_id, key, change)

    return router


@dataclass(frozen=True, slots=True)
class _Change:
    """What is asked; None leaves as it is."""

    scope: str
    reason: str | None
    status: Literal["active", "frozen", "suspended", "closed"] | None = None
    minimum_minor: int | None = None
    maximum_minor: int | None = None
    only_while: Literal["active"] | None = None


async def _require_somebody_elses(parts: CommandRoutes, principal: Principal, account_id: str) -> None:
    owner_id = await _owner_of(parts, principal, account_id)
    if owner_id is not None:  # an account that is not known is the ledger's to refuse
        require_not_self(principal, owner_id, "own_account", "Nobody changes his own account; ask a colleague.")


async def _require_own(parts: CommandRoutes, principal: Principal, account_id: str) -> None:
    # Whose an account is never changes, so that the ledger need not look again.
    if await _owner_of(parts, principal, account_id) != principal.user_id:
        raise NotFound("account_not_found", "There is no such account, or it is not yours.")


async def _owner_of(parts: CommandRoutes, principal: Principal, account_id: str) -> str | None:
    if not is_id(account_id):
        raise NotFound("account_not_found", "There is no such account.")
    directory = parts.money.directory
    await directory.fetch([account_id], principal.user_id)
    account = directory.accounts.get(account_id)
    return None if account is None else account.owner_id


async def _submit(
    parts: CommandRoutes, request: Request, principal: Principal, account_id: str, key: str, change: _Change
) -> Response:
    memo, salt, commitment = commit_to({} if change.reason is None else {"reason": change.reason})
    asked = AskedCommand(
        change.scope,
        key,
        hash_body((account_id, change)),
        principal.user_id,
        account_id,
        lambda command_id, requested_at: ChangeAccount(
            command_id=command_id,
            account_id=account_id,
            actor_id=principal.user_id,
            status=change.status,
            minimum_minor=change.minimum_minor,
            maximum_minor=change.maximum_minor,
            reason_commitment=commitment,
            requested_at=requested_at,
            only_while=change.only_while,
        ),
        memo,
        salt,
    )
    decided = await parts.submit(request, principal, asked)
    outcome, location = decided.taken.command.outcome, f"/api/v1/accounts/{account_id}"
    command_id = decided.taken.command.command_id
    if outcome.status == "refused":
        return decided.refused(location, {"account_id": account_id, "command_id": command_id})
    state = None
    if outcome.status == "done":
        state = await await_account_state(parts.states, account_id, outcome.journal_index)
    if state is None:
        return decided.accepted(location)
    shown = AccountStateOut(
        account_id=account_id,
        command_id=command_id,
        status=state.status,
        minimum_minor=state.minimum_minor,
        maximum_minor=state.maximum_minor,
        journal_index=state.journal_index,
        changed_at=state.occurred_at,
    )
    return decided.answer(200, shown.model_dump_json().encode())
