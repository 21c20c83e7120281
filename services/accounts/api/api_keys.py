"""API keys of whoever asks."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from libs.common.clock import Clock
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.id_pages import PAGE, PageCursor, PageSize, next_of, place_of
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_recent
from services.accounts.api.key_models import ApiKeyAnswer, ApiKeyList, ApiKeyRequest, NewApiKey
from services.accounts.domain.api_key import ApiKey
from services.accounts.use_cases.create_api_key import CreateApiKey
from services.accounts.use_cases.revoke_api_key import RevokeApiKey
from services.accounts.views.api_keys import ApiKeyView

IdInPath = Annotated[str, Path(max_length=64)]
REFUSED_KEYS: Final = ("scope_not_allowed", "network_invalid", "expiry_not_later", "too_many_api_keys", *REFUSED_COPIES)


def api_keys_router(
    create_api_key: CreateApiKey, revoke_api_key: RevokeApiKey, keys: ApiKeyView, clock: Clock
) -> APIRouter:
    """Return the routes about one's own keys."""
    router = APIRouter(prefix="/api/v1/api-keys", tags=["api keys"])

    @router.post(
        "",
        status_code=201,
        response_model=NewApiKey,
        summary="Make an API key",
        responses=refusals("step_up_required", "customer_not_found", *REFUSED_KEYS),
    )
    async def post_api_key(
        body: ApiKeyRequest,
        principal: Annotated[Principal, permitted("api_key.create")],
        request: Request,
        asked: Keyed,
    ) -> Response:
        """Make a key that acts for the caller, within its scopes and never beyond his roles.

        Needs a log-in or a step-up within ten minutes, since a key outlives both; its holder is told by e-mail. Its
        text is in this answer and in no other. It works everywhere an access token does, except for what asks for a
        person who logged in. A copy with the same `Idempotency-Key` makes no other key and does not show its text; if
        the first answer was lost, revoke the key.
        """
        require_recent(principal.authenticated_at, clock())
        once = asked.by(principal.user_id, new_key_answer)
        made = await create_api_key(once, asker=asker_of(request), user_id=principal.user_id, wanted=body.wanted())
        return kept_response(new_key_answer(*made), replayed=False)

    @router.get("", summary="List my API keys", responses=refusals("cursor_invalid"))
    async def get_api_keys(
        principal: Annotated[Principal, permitted("api_key.list")], limit: PageSize = PAGE, cursor: PageCursor = None
    ) -> ApiKeyList:
        """Return the caller's keys, newest first, revoked and expired ones too, without their secrets."""
        return await page_of_keys(keys.of, principal.user_id, limit, cursor)

    @router.delete("/{key_id}", status_code=204, summary="Revoke an API key", responses=refusals("api_key_not_found"))
    async def delete_api_key(
        key_id: IdInPath, principal: Annotated[Principal, permitted("api_key.revoke")], request: Request
    ) -> None:
        """Revoke a key for ever, in every service within two seconds. Repeating changes nothing."""
        await revoke_api_key(asker=asker_of(request), user_id=principal.user_id, key_id=key_id)

    return router


def new_key_answer(key: ApiKey, text: str | None = None) -> KeptAnswer:
    """Return the answer about a new key: as it is kept, or with the text, which is told once."""
    return answer_of(NewApiKey(**ApiKeyAnswer.of(key).model_dump(), key=text), 201)


async def page_of_keys(
    read: Callable[[str, str | None, int], Awaitable[Sequence[ApiKey]]], user_id: str, limit: int, cursor: str | None
) -> ApiKeyList:
    """Return a page of a holder's keys. Raises: Unprocessable `cursor_invalid`, and what `read` does."""
    question = {"api_keys_of": user_id}
    page = await read(user_id, place_of(cursor, question), limit + 1)
    shown = [ApiKeyAnswer.of(key) for key in page[:limit]]
    return ApiKeyList(api_keys=shown, next=next_of(question, shown[-1].key_id) if len(page) > limit else None)
