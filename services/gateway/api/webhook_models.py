"""Bodies of the routes about webhooks."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from libs.common.clock import to_rfc3339
from libs.common.errors import Unprocessable
from libs.common.http.models import IdText, ShortText, StrictModel, WholeNumber
from libs.common.http.moments import Moment, require_period
from services.gateway.domain.events import EventType
from services.gateway.domain.webhooks import OVERLAP_SECONDS_MAX, URL_CHARACTERS_MAX, Delivery, DisabledBecause, Webhook

_A_DAY_SECONDS: Final = 86_400

Url = Annotated[
    str,
    StringConstraints(min_length=8, max_length=URL_CHARACTERS_MAX),
    Field(
        description="`https`, at a public host. No redirect is followed.",
        examples=["https://shop.example/tallystick-events"],
    ),
]
Types = Annotated[
    list[EventType],
    Field(max_length=50, description="Send events of these types; empty for all, of later versions too."),
]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class WebhookIn(StrictModel):
    """Where events are to be sent."""

    url: Url
    event_types: Annotated[Types, Field(default_factory=list)]
    description: Annotated[ShortText | None, Field(description="For yourself.")] = None


class WebhookChangeIn(StrictModel):
    """What is to be otherwise; what is left out stays as it is."""

    url: Url | None = None
    event_types: Types | None = None
    description: ShortText | None = None
    enabled: Annotated[
        bool | None, Field(description="`true` sends again what was not taken; `false` keeps it until then.")
    ] = None


class RotationIn(StrictModel):
    """How long the secret before signs too, beside the new one."""

    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX), WholeNumber] = _A_DAY_SECONDS


class ReplayIn(StrictModel):
    """Either one event, or those that happened from `from` on and before `to`; without `to` until now."""

    event_id: IdText | None = None
    begins_at: Annotated[Moment | None, Field(alias="from")] = None
    ends_before: Annotated[Moment | None, Field(alias="to")] = None

    def require_one_or_the_other(self) -> None:
        """Let pass what names an event or a time. Raises: Unprocessable conflicting_parameters."""
        if (self.event_id is None) == (self.begins_at is None) or (self.event_id and self.ends_before):
            raise Unprocessable("conflicting_parameters", "Send event_id alone, or from and maybe to.")
        require_period(self.begins_at, self.ends_before)


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else to_rfc3339(moment)


class WebhookShown(BaseModel):
    """A webhook. `disabled_because` says who or what ended it.

    It is `by_owner`, `gone` (410), `failed_for_three_days`, or `customer_closed` after you closed and came back.
    """

    webhook_id: str
    url: str
    event_types: list[str]
    description: str
    enabled: bool
    disabled_because: DisabledBecause
    disabled_at: str | None
    earlier_secret_until: Annotated[str | None, Field(description="Until when the secret before signs too.")]
    created_at: str
    changed_at: str

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """Show it, without any secret."""
        return cls(**_fields(webhook))


class WebhookMade(WebhookShown):
    """A webhook with its new secret, which is shown now and never again."""

    secret: Annotated[
        str | None,
        Field(
            description="Verifies signatures. In no other answer; null for a copy of the request.",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        ),
    ]

    @classmethod
    def with_secret(cls, webhook: Webhook, secret: str | None) -> Self:
        """Show it with its secret, once; without, to a copy of the request that made it."""
        return cls(**_fields(webhook), secret=secret)


def _fields(webhook: Webhook) -> dict[str, object]:
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event_types": list(webhook.event_types),
        "description": webhook.description,
        "enabled": webhook.is_enabled,
        "disabled_because": webhook.disabled_because,
        "disabled_at": _shown(webhook.disabled_at),
        "earlier_secret_until": _shown(webhook.earlier_until),
        "created_at": to_rfc3339(webhook.created_at),
        "changed_at": to_rfc3339(webhook.changed_at),
    }


class Webhooks(BaseModel):
    """All of yours, oldest first; there are at most ten."""

    webhooks: list[WebhookShown]


class DeliveryShown(BaseModel):
    """What came of sending an event. `failure` says why there is no `response_status`.

    It is `timeout`, `connection_failed`, `address_refused` (the host is at no public address) or `answer_unreadable`.
    """

    event_id: str
    event_type: str
    resource_id: str
    occurred_at: str
    status: DeliveryStatus
    attempts: int
    first_attempt_at: str | None
    last_attempt_at: str | None
    next_attempt_at: Annotated[str | None, Field(description="Not before this it is tried again.")]
    response_status: int | None
    failure: str

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Show it."""
        return cls.model_validate(
            {
                "event_id": delivery.event_id,
                "event_type": delivery.type,
                "resource_id": delivery.resource_id,
                "occurred_at": to_rfc3339(delivery.occurred_at),
                "status": delivery.status,
                "attempts": delivery.attempts,
                "first_attempt_at": _shown(delivery.first_attempt_at),
                "last_attempt_at": _shown(delivery.last_attempt_at),
                "next_attempt_at": _shown(delivery.next_attempt_at),
                "response_status": delivery.response_status,
                "failure": delivery.failure,
            }
        )


class DeliveryPage(BaseModel):
    """A page of the log, newest events first; `next` asks for older ones, null: there are none."""

    deliveries: list[DeliveryShown]
    next: str | None


class Replayed(BaseModel):
    """How many events are sent again."""

    replayed: int


class TestSent(BaseModel):
    """The id of the event that tests the webhook; the log shows what came of it."""

    event_id: str
