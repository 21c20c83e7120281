"""Bodies of requests and answers about alerts."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.clock import to_rfc3339
from libs.common.http.cursors import CURSOR_CHARACTERS
from libs.common.http.models import PRINTABLE_SCHEMA, IdText, Printable, StrictModel
from libs.common.http.moments import Moment
from services.fraud.domain.alerts import Alert, AlertEvent, AlertState, AlertTransfer, Typology, Verdict
from services.fraud.views.show_alerts import WholeAlert

PAGE = 50
_PAGE_MAX = 200
_NoteText = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), Printable, Field(json_schema_extra=PRINTABLE_SCHEMA)
]


class AlertFilter(BaseModel):
    """Which alerts, and which page of them.

    The customer is no `user_id` here: the audit log notes that filter as reading about him, and his export tells him.
    """

    model_config = ConfigDict(frozen=True)

    typology: Typology | None = Field(None, description="of this typology")
    state: AlertState | None = Field(None, description="in this state")
    subject_id: IdText | None = Field(None, description="about this customer")
    begins_at: Moment | None = Field(None, alias="from", description="opened at this moment or later")
    ends_before: Moment | None = Field(None, alias="to", description="opened before this moment")
    limit: int = Field(PAGE, ge=1, le=_PAGE_MAX, description="alerts in one answer")
    cursor: str | None = Field(None, max_length=CURSOR_CHARACTERS, description="`next` of another page")


class AlertStateBody(StrictModel):
    """What becomes of a claimed alert, and why: `open` gives it back, the others close it for good."""

    state: Literal["open"] | Verdict
    reason: _NoteText


class AlertNoteBody(StrictModel):
    """What was learnt."""

    note: _NoteText


class AlertAnswer(BaseModel):
    """A finding on a customer, with how far its review is."""

    alert_id: str
    typology: Typology
    subject_id: str
    state: AlertState
    claimed_by: str | None
    score: Annotated[int, Field(ge=0, le=100)]
    opened_at: str
    changed_at: str
    window_from: str
    window_to: str
    transfer_count: int
    parameters_version: int
    version: int

    @classmethod
    def of(cls, alert: Alert) -> "AlertAnswer":
        """Return the answer about this alert."""
        return cls(**_facts_of(alert))


class AlertTransferAnswer(BaseModel):
    """A payment that proves an alert."""

    transfer_id: str
    payer_id: str | None
    payee_id: str | None
    usd_minor: int
    posted_at: str
    shard: int
    journal_index: int

    @classmethod
    def of(cls, transfer: AlertTransfer) -> "AlertTransferAnswer":
        """Return the answer about this payment."""
        return cls(**{**asdict(transfer), "posted_at": to_rfc3339(transfer.posted_at)})


class AlertEventAnswer(BaseModel):
    """Something that happened to an alert."""

    version: int
    event: Literal["opened", "joined", "claimed", "returned", "closed", "noted"]
    from_state: AlertState | None
    to_state: AlertState
    actor_id: str | None
    text: str
    at: str

    @classmethod
    def of(cls, event: AlertEvent) -> "AlertEventAnswer":
        """Return the answer about this event."""
        return cls(**{**asdict(event), "at": to_rfc3339(event.at)})


class WholeAlertAnswer(AlertAnswer):
    """An alert with what proves it, in the order of posting, and what happened to it, newest first."""

    transfers: list[AlertTransferAnswer]
    events: list[AlertEventAnswer]

    @classmethod
    def of_whole(cls, whole: WholeAlert) -> "WholeAlertAnswer":
        """Return the answer about all of it."""
        return cls(
            **_facts_of(whole.alert),
            transfers=[AlertTransferAnswer.of(one) for one in whole.transfers],
            events=[AlertEventAnswer.of(one) for one in whole.events],
        )


class AlertPageAnswer(BaseModel):
    """A page of alerts, newest first. `next` asks for older ones; null: there are none."""

    alerts: list[AlertAnswer]
    next: str | None


def _facts_of(alert: Alert) -> dict[str, object]:
    moments = ("opened_at", "changed_at", "window_from", "window_to")
    facts = asdict(alert) | {name: to_rfc3339(getattr(alert, name)) for name in moments}
    facts["transfer_count"] = facts.pop("transfers")
    return facts
