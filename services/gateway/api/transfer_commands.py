"""POST /api/v1/transfers/{id}/capture, /void and /reversals: what is done about a transfer that is there already."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer, VoidTransfer
from libs.common.errors import Conflict, NotFound, Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_no_part, require_party, require_payee, require_payer, require_role
from libs.common.idempotency_keys import read_key
from libs.common.ids import is_id
from services.gateway.api.command_models import CaptureIn, CommandAccepted, ReversalIn, VoidIn
from services.gateway.api.command_requests import COMMAND_HEADERS, CommandRoutes, Decided
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.leg_amounts import amounts_by_leg
from services.gateway.use_cases.accept_commands import AskedCommand
from services.gateway.use_cases.prepare_transfer import commit_to
from services.gateway.views.known_transfers import REVERSAL, KnownTransfer, find_transfer, reversal_of
from services.gateway.views.ledger_states import (
    await_first_outcome,
    await_reversal_amounts,
    await_reversal_shown,
    await_transfer_state,
)

_HoldEnder = Annotated[Principal, permitted("hold.end")]

TransferPath = Annotated[str, Path(max_length=64)]
IdempotencyKey = Annotated[str | None, Header(include_in_schema=False)]

_VIEW: Final = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/TransferView"}}}}
_COMMON: Final = (
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "idempotency_key_reused",
    "transfer_not_found",
    "transfer_undecided",
    "number_not_whole",
    "amount_or_amounts",
    "amounts_by_leg",
    "account_closed",
    "account_suspended",
    "account_frozen",
)


def transfer_commands_router(parts: CommandRoutes) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/transfers", tags=["transfers"])
    commands = _TransferCommands(parts)
    _add_holds(router, commands)
    _add_reversals(router, commands)
    return router


def _add_holds(router: APIRouter, commands: "_TransferCommands") -> None:
    @router.post(
        "/{transfer_id}/capture",
        summary="Capture a hold, in part or in full",
        responses={
            200: {"description": "Captured: the transfer as it is after this capture.", **_VIEW},
            202: {"description": "Durable, not decided yet.", "model": CommandAccepted},
            **refusals(
                *_COMMON,
                "not_the_payer",
                "own_transfer",
                "transfer_not_permitted",
                "held_by_review",
                "transfer_not_held",
                "hold_expired",
                "capture_exceeds_hold",
                "balance_overflow",
                "balance_limit_exceeded",
            ),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def capture(
        transfer_id: TransferPath,
        body: CaptureIn,
        principal: _HoldEnder,
        request: Request,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Post a part of what your hold reserves, or all of it; what is left stays held until `final`.

        For the payer, and operators whose money it does not move.
        """
        return await commands.capture(request, principal, transfer_id, read_key(idempotency_key), body)

    @router.post(
        "/{transfer_id}/void",
        summary="Void a hold",
        responses={
            200: {"description": "Ended: the transfer as it is then.", **_VIEW},
            202: {"description": "Durable, not decided yet.", "model": CommandAccepted},
            **refusals(*_COMMON[:5], "not_the_payer", "own_transfer", "held_by_review", "transfer_not_held"),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def void(
        transfer_id: TransferPath,
        principal: _HoldEnder,
        request: Request,
        _body: VoidIn | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Give back what your hold still reserves. What was captured stays posted; without a capture it is `voided`.

        For the payer, and operators whose money it does not move.
        """
        return await commands.void(request, principal, transfer_id, read_key(idempotency_key))


def _add_reversals(router: APIRouter, commands: "_TransferCommands") -> None:
    @router.post(
        "/{transfer_id}/reversals",
        summary="Give money back",
        status_code=201,
        responses={
            201: {"description": "Posted: the reversal, a transfer of its own.", **_VIEW},
            202: {"description": "Durable, not decided yet. `Location` says where to ask.", **_VIEW},
            **refusals(
                *_COMMON,
                "not_the_payee",
                "own_transfer",
                "role_required",
                "transfer_not_permitted",
                "transfer_not_reversible",
                "reversal_exceeds_transfer",
                "insufficient_funds",
                "balance_overflow",
                "balance_limit_exceeded",
            ),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def reverse(
        transfer_id: TransferPath,
        body: ReversalIn,
        principal: Annotated[Principal, permitted("transfer.reverse")],
        request: Request,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Move a posted transfer's money back, in part or in full; never more than it moved, over all reversals.

        For the payee, who must have received all of it, and operators whose money it does not move; a deposit, and any
        `with_fees`, for these operators alone. The same key and body get the same reversal.
        """
        return await commands.reverse(request, principal, transfer_id, read_key(idempotency_key), body)


class _TransferCommands:
    """What the three routes do."""

    def __init__(self, parts: CommandRoutes) -> None:
        self._parts = parts

    async def capture(
        self, request: Request, principal: Principal, transfer_id: str, key: str, body: CaptureIn
    ) -> Response:
        transfer = await self._hold(principal, transfer_id)
        amounts_minor = amounts_by_leg(body.amount_minor, body.amounts_minor, legs=len(transfer.legs))
        asked = AskedCommand(
            "captures",
            key,
            hash_body((transfer_id, body.model_dump(exclude_defaults=True))),
            principal.user_id,
            transfer_id,
            lambda command_id, requested_at: CaptureTransfer(
                command_id=command_id,
                transfer_id=transfer_id,
                actor_id=principal.user_id,
                amounts_minor=amounts_minor,
                is_final=body.final,
                requested_at=requested_at,
            ),
        )
        return await self._answer_hold(transfer, await self._submit(request, principal, transfer, asked))

    async def void(self, request: Request, principal: Principal, transfer_id: str, key: str) -> Response:
        transfer = await self._hold(principal, transfer_id)
        asked = AskedCommand(
            "voids",
            key,
            hash_body(transfer_id),
            principal.user_id,
            transfer_id,
            lambda command_id, requested_at: VoidTransfer(
                command_id=command_id,
                transfer_id=transfer_id,
                actor_id=principal.user_id,
                requested_at=requested_at,
            ),
        )
        return await self._answer_hold(transfer, await self._submit(request, principal, transfer, asked))

    async def reverse(
        self, request: Request, principal: Principal, transfer_id: str, key: str, body: ReversalIn
    ) -> Response:
        transfer = await self._find(principal, transfer_id)
        if transfer.kind == REVERSAL:
            raise Unprocessable("transfer_not_reversible", "A reversal is not reversed; make a new transfer.")
        payee_ids = await self._payees_of(principal, transfer)
        party_ids = transfer.owner_ids | payee_ids
        require_payee(principal, payee_ids, party_ids)
        if transfer.kind != "transfer" or body.with_fees:
            # What came from outside goes back there by a withdrawal, and the fee is the house's to give.
            require_role(principal, "operator")
            require_no_part(principal, party_ids)
        amounts_minor = amounts_by_leg(body.amount_minor, body.amounts_minor, legs=len(transfer.legs))
        memo, salt, commitment = commit_to({"reason": body.reason})
        asked = AskedCommand(
            "reversals",
            key,
            hash_body((transfer_id, body.model_dump(exclude_defaults=True))),
            principal.user_id,
            transfer_id,
            lambda command_id, requested_at: ReverseTransfer(
                command_id=command_id,
                transfer_id=transfer_id,
                actor_id=principal.user_id,
                amounts_minor=amounts_minor,
                with_fees=body.with_fees,
                reason_commitment=commitment,
                requested_at=requested_at,
            ),
            memo,
            salt,
        )
        decided = await self._submit(request, principal, transfer, asked)
        command = decided.taken.command
        location = _location_of(command.command_id)
        if command.outcome.status == "refused":
            facts = {"transfer_id": command.command_id, "transfer_status": "refused", "reverses": transfer_id}
            return decided.refused(location, facts)
        if command.outcome.status != "posted":
            return decided.answer(202, reversal_of(transfer, command, amounts_minor).render(), location=location)
        moved_minor = await await_reversal_amounts(self._parts.states, command)
        if moved_minor is None:
            return decided.accepted(location)
        await await_reversal_shown(self._parts.states, command)
        return decided.answer(201, reversal_of(transfer, command, moved_minor).render(), location=location)

    async def _submit(
        self, request: Request, principal: Principal, transfer: KnownTransfer, asked: AskedCommand
    ) -> Decided:
        """Hand on what is asked about a transfer once the ledger knows the transfer.

        A command must not overtake it on the bus: the ledger would refuse what it has never heard of, and the key would
        keep that refusal. Raises: Conflict transfer_undecided, which the key does not keep; and as `submit`.
        """
        if (
            transfer.outcome.version == 0
            and not await self._parts.intake.is_replay(asked)
            and await await_first_outcome(self._parts.states, transfer.transfer_id) is None
        ):
            raise Conflict(
                "transfer_undecided",
                "The transfer itself is not decided yet; send this again in a moment.",
                retry_after_seconds=1,
            )
        return await self._parts.submit(request, principal, asked)

    async def _find(self, principal: Principal, transfer_id: str) -> KnownTransfer:
        """Return the transfer. Raises: NotFound, also when it is not his to know of."""
        transfer = await find_transfer(self._parts.money.lookup, transfer_id) if is_id(transfer_id) else None
        if transfer is None:
            raise NotFound("transfer_not_found", "There is no such transfer, or it is not yours.")
        require_party(principal, transfer.party_ids, what="transfer")
        return transfer

    async def _hold(self, principal: Principal, transfer_id: str) -> KnownTransfer:
        transfer = await self._find(principal, transfer_id)
        is_asker = principal.user_id == transfer.asker_id
        party_ids = () if is_asker else transfer.owner_ids | await self._payees_of(principal, transfer)
        require_payer(principal, transfer.asker_id, party_ids)
        if transfer.kind == REVERSAL:
            raise Unprocessable("transfer_not_held", "A reversal is never held.")
        return transfer

    async def _payees_of(self, principal: Principal, transfer: KnownTransfer) -> set[str | None]:
        """Return the owners of all destinations; None for an account that no customer has, such as a reserve."""
        directory = self._parts.money.directory
        account_ids = [leg.destination_account_id for leg in transfer.legs]
        await directory.fetch(account_ids, principal.user_id)
        known = (directory.accounts.get(account_id) for account_id in account_ids)
        return {None if account is None else account.owner_id for account in known}

    async def _answer_hold(self, transfer: KnownTransfer, decided: Decided) -> Response:
        command = decided.taken.command
        location = _location_of(transfer.transfer_id)
        outcome = command.outcome
        if outcome.status == "refused":
            facts = {"transfer_id": transfer.transfer_id, "command_id": command.command_id}
            return decided.refused(location, facts)
        state = None
        if outcome.status == "done":
            # The state this very command made, so that a copy of it is answered alike after the next one.
            state = await await_transfer_state(self._parts.states, transfer.transfer_id, outcome.journal_index)
        return decided.accepted(location) if state is None else decided.answer(200, transfer.render(state))


def _location_of(transfer_id: str) -> str:
    return f"/api/v1/transfers/{transfer_id}"
