"""/api/v1/webhooks: where a customer's events are sent to, what came of it, and sending them again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from services.gateway.api.webhook_models import (
    DeliveryPage,
    DeliveryShown,
    DeliveryStatus,
    Replayed,
    ReplayIn,
    RotationIn,
    TestSent,
    WebhookChangeIn,
    WebhookIn,
    WebhookMade,
    Webhooks,
    WebhookShown,
)
from services.gateway.domain.webhooks import Webhook
from services.gateway.use_cases.keep_webhooks import KeepWebhooks, WantedWebhook, WebhookChange
from services.gateway.use_cases.replay_events import ReplayEvents

_ID: Final = Path(max_length=64)
_POSITION_MAX: Final = 2**63 - 1
WebhookId = Annotated[str, _ID]
Reader = Annotated[Principal, permitted("webhook.read")]


def webhooks_router(keep: KeepWebhooks, replay: ReplayEvents) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
    _add_reading(router, keep, replay)
    _add_keeping(router, keep)
    _add_sending(router, replay)
    return router


def _add_reading(router: APIRouter, keep: KeepWebhooks, replay: ReplayEvents) -> None:
    @router.get("", summary="List your webhooks", responses=refusals())
    async def list_webhooks(principal: Reader) -> Webhooks:
        """Return all of them, without their secrets."""
        found = await keep.list(principal.user_id)
        return Webhooks(webhooks=[WebhookShown.of(webhook) for webhook in found])

    @router.get("/{webhook_id}", summary="Show a webhook", responses=refusals("webhook_not_found"))
    async def show_webhook(webhook_id: WebhookId, principal: Reader) -> WebhookShown:
        """Return it, without its secret."""
        return WebhookShown.of(await keep.show(principal.user_id, webhook_id))

    @router.get(
        "/{webhook_id}/deliveries",
        summary="See what was sent",
        responses=refusals("webhook_not_found", "cursor_invalid"),
    )
    async def list_deliveries(
        webhook_id: WebhookId,
        principal: Reader,
        status: DeliveryStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: Annotated[
            str | None,
            Query(min_length=CURSOR_CHARACTERS, max_length=CURSOR_CHARACTERS, description="`next` of the page before."),
        ] = None,
    ) -> DeliveryPage:
        """Return what came of sending each event of the last 30 days, newest events first."""
        question: Mapping[str, Any] = {"webhook_id": webhook_id, "status": status}
        before = _POSITION_MAX
        if cursor is not None:
            before = decode_cursor(cursor, question, position_max=_POSITION_MAX).position
        found = await replay.log(principal.user_id, webhook_id, before=before, status=status, limit=limit + 1)
        older = encode_cursor(Cursor("next", found[limit - 1].position), question) if len(found) > limit else None
        return DeliveryPage(deliveries=[DeliveryShown.of(delivery) for delivery in found[:limit]], next=older)


def _add_keeping(router: APIRouter, keep: KeepWebhooks) -> None:
    @router.post(
        "",
        summary="Have events sent to a URL",
        status_code=201,
        response_model=WebhookMade,
        responses=refusals("webhook_url_refused", "too_many_webhooks", *REFUSED_COPIES),
    )
    async def create_webhook(
        request: Request, body: WebhookIn, principal: Annotated[Principal, permitted("webhook.create")], asked: Keyed
    ) -> Response:
        """Send each event that concerns you there from now on, as a POST signed by Standard Webhooks.

        The answer has the secret that verifies signatures; it is never shown again. A copy with the same
        `Idempotency-Key` makes no other webhook and does not show its secret; if the first answer was lost, rotate it.
        """
        wanted = WantedWebhook(body.url, body.description or "", body.event_types)
        made = await keep.create(asked.by(principal.user_id, _made_answer), principal.user_id, wanted)
        asker_of(request).concerns("webhook", made[0].webhook_id)
        return kept_response(_made_answer(*made), replayed=False)

    @router.patch(
        "/{webhook_id}",
        summary="Change a webhook",
        responses=refusals("webhook_not_found", "webhook_url_refused"),
    )
    async def change_webhook(
        webhook_id: WebhookId, body: WebhookChangeIn, principal: Annotated[Principal, permitted("webhook.change")]
    ) -> WebhookShown:
        """Change what is named. Enabling one again sends first what it has not taken, in order."""
        types = None if body.event_types is None else tuple(body.event_types)
        change = WebhookChange(body.url, body.description, types, body.enabled)
        return WebhookShown.of(await keep.change(principal.user_id, webhook_id, change))

    @router.post("/{webhook_id}/secret", summary="Rotate its secret", responses=refusals("webhook_not_found"))
    async def rotate_secret(
        webhook_id: WebhookId,
        principal: Annotated[Principal, permitted("webhook.rotate")],
        body: RotationIn | None = None,
    ) -> WebhookMade:
        """Return a new secret. For as long as the overlap each event has two signatures, by the new and the old."""
        overlap = timedelta(seconds=(body or RotationIn()).overlap_seconds)
        return WebhookMade.with_secret(*await keep.rotate_secret(principal.user_id, webhook_id, overlap))

    @router.delete(
        "/{webhook_id}", summary="Delete a webhook", status_code=204, responses=refusals("webhook_not_found")
    )
    async def delete_webhook(
        webhook_id: WebhookId, principal: Annotated[Principal, permitted("webhook.delete")]
    ) -> None:
        """Send nothing more to it, not even what waits, and forget what was sent."""
        await keep.delete(principal.user_id, webhook_id)


def _made_answer(webhook: Webhook, secret: str | None = None) -> KeptAnswer:
    """Return the answer about a new webhook: as it is kept, or with the secret, which is told once."""
    location = f"/api/v1/webhooks/{webhook.webhook_id}"
    return answer_of(WebhookMade.with_secret(webhook, secret), 201, location=location)


def _add_sending(router: APIRouter, replay: ReplayEvents) -> None:
    @router.post(
        "/{webhook_id}/replay",
        summary="Have events sent again",
        status_code=202,
        responses=refusals("webhook_not_found", "event_not_found", "replay_too_large", "conflicting_parameters"),
    )
    async def replay_events(
        webhook_id: WebhookId, body: ReplayIn, principal: Annotated[Principal, permitted("webhook.replay")]
    ) -> Replayed:
        """Send one event again, or all of a time that the webhook asks for: in order, taken before or not.

        They have the ids they had, so a receiver that remembers ids recognises them.
        """
        body.require_one_or_the_other()
        if body.event_id is not None:
            return Replayed(replayed=await replay.one(principal.user_id, webhook_id, body.event_id))
        assert body.begins_at is not None  # noqa: S101 -- the body has one or the other
        sent = await replay.of_time(principal.user_id, webhook_id, body.begins_at, body.ends_before)
        return Replayed(replayed=sent)

    @router.post(
        "/{webhook_id}/test", summary="Send a test event", status_code=202, responses=refusals("webhook_not_found")
    )
    async def send_test(webhook_id: WebhookId, principal: Annotated[Principal, permitted("webhook.test")]) -> TestSent:
        """Send an event of the type `webhook.test`, whatever types the webhook asks for."""
        return TestSent(event_id=await replay.test(principal.user_id, webhook_id))
