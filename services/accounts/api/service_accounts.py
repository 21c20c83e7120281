"""Principals of machines, and their keys."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.id_pages import PAGE, PageCursor, PageSize, next_of, place_of
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from services.accounts.api.api_keys import REFUSED_KEYS, IdInPath, new_key_answer, page_of_keys
from services.accounts.api.key_models import (
    ApiKeyList,
    ApiKeyRequest,
    NewApiKey,
    ServiceAccountAnswer,
    ServiceAccountList,
    ServiceAccountMade,
    ServiceAccountRequest,
)
from services.accounts.use_cases.close_service_account import CloseServiceAccount
from services.accounts.use_cases.create_api_key import CreateApiKey
from services.accounts.use_cases.create_service_account import CreateServiceAccount
from services.accounts.use_cases.revoke_api_key import RevokeApiKey
from services.accounts.views.api_keys import ApiKeyView

_QUESTION = {"service_accounts": "all"}


def service_accounts_router(create: CreateServiceAccount, close: CloseServiceAccount, keys: ApiKeyView) -> APIRouter:
    """Return the routes about service accounts themselves."""
    router = APIRouter(prefix="/api/v1/admin/service-accounts", tags=["staff"])

    @router.post(
        "",
        status_code=201,
        response_model=ServiceAccountMade,
        summary="Make a service account",
        responses=refusals("role_required", "unknown_role", "role_not_for_machines", *REFUSED_COPIES),
    )
    async def post_service_account(
        body: ServiceAccountRequest,
        principal: Annotated[Principal, permitted("service_account.create")],
        request: Request,
        asked: Keyed,
    ) -> Response:
        """Make a principal for a machine. Needs the role admin.

        It has roles and keys and no password, and the limits of a business. With the role customer it may have
        accounts of its own.
        """
        once = asked.by(principal.user_id, _made)
        user_id = await create(once, asker=asker_of(request), name=body.name, roles=body.roles)
        return kept_response(_made(user_id), replayed=False)

    @router.get("", summary="List service accounts", responses=refusals("role_required", "cursor_invalid"))
    async def get_service_accounts(
        _principal: Annotated[Principal, permitted("service_account.list")],
        limit: PageSize = PAGE,
        cursor: PageCursor = None,
    ) -> ServiceAccountList:
        """Return the service accounts that are not closed, newest first. Needs the role admin or auditor."""
        page = await keys.machines(place_of(cursor, _QUESTION), limit + 1)
        shown = [ServiceAccountAnswer.of(machine) for machine in page[:limit]]
        return ServiceAccountList(
            service_accounts=shown, next=next_of(_QUESTION, shown[-1].user_id) if len(page) > limit else None
        )

    @router.delete(
        "/{user_id}",
        status_code=204,
        summary="Close a service account",
        responses=refusals("role_required", "service_account_not_found"),
    )
    async def delete_service_account(
        user_id: IdInPath, _principal: Annotated[Principal, permitted("service_account.close")], request: Request
    ) -> None:
        """Close it for ever and revoke its keys. Needs the role admin. Its accounts stay, with what is on them."""
        await close(asker=asker_of(request), user_id=user_id)

    return router


def service_account_keys_router(create: CreateApiKey, revoke: RevokeApiKey, keys: ApiKeyView) -> APIRouter:
    """Return the routes about their keys."""
    router = APIRouter(prefix="/api/v1/admin/service-accounts/{user_id}/keys", tags=["staff"])

    @router.post(
        "",
        status_code=201,
        response_model=NewApiKey,
        summary="Make a key for a service account",
        responses=refusals("role_required", "service_account_not_found", *REFUSED_KEYS),
    )
    async def post_service_account_key(
        user_id: IdInPath,
        body: ApiKeyRequest,
        principal: Annotated[Principal, permitted("service_account.create")],
        request: Request,
        asked: Keyed,
    ) -> Response:
        """Make a key that acts for the service account. Needs the role admin. Its text is in this answer alone."""
        once = asked.by(principal.user_id, new_key_answer)
        made = await create(once, asker=asker_of(request), user_id=user_id, wanted=body.wanted(), for_machine=True)
        return kept_response(new_key_answer(*made), replayed=False)

    @router.get(
        "",
        summary="List the keys of a service account",
        responses=refusals("role_required", "service_account_not_found", "cursor_invalid"),
    )
    async def get_service_account_keys(
        user_id: IdInPath,
        _principal: Annotated[Principal, permitted("service_account.list")],
        limit: PageSize = PAGE,
        cursor: PageCursor = None,
    ) -> ApiKeyList:
        """Return its keys, newest first, without their secrets. Needs the role admin or auditor."""
        return await page_of_keys(keys.of_machine, user_id, limit, cursor)

    @router.delete(
        "/{key_id}",
        status_code=204,
        summary="Revoke a key of a service account",
        responses=refusals("role_required", "api_key_not_found"),
    )
    async def delete_service_account_key(
        user_id: IdInPath,
        key_id: IdInPath,
        _principal: Annotated[Principal, permitted("service_account.close")],
        request: Request,
    ) -> None:
        """Revoke the key, in every service within two seconds. Needs the role admin. Repeating changes nothing."""
        await revoke(asker=asker_of(request), user_id=user_id, key_id=key_id, for_machine=True)

    return router


def _made(user_id: str) -> KeptAnswer:
    return answer_of(ServiceAccountMade(user_id=user_id), 201)
