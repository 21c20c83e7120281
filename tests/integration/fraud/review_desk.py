"""The reviewers' side of fraud: a process of its own beside the one that screens, over the same database."""

from dataclasses import dataclass
from typing import Any, Self

from libs.common.audit.asker import Asker
from libs.common.contracts.fraud import HoldReason
from libs.common.contracts.transfers import TransferCommand
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.kept_answers import KeptAnswer, RequestKey
from libs.common.db.unit_of_work import UnitOfWork as StaffWork
from libs.common.http.idempotency import Once
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from services.fraud.domain.reviews import Decided
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.claim_review import ClaimReview
from services.fraud.use_cases.decide_review import DecideReview, Decision
from services.fraud.use_cases.decide_reviews import BulkRequest, DecideReviews
from services.fraud.use_cases.note_comment import NoteComment
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from tests.integration.fraud.office import Office, transfer
from tests.support.held_transfers import keep_held


class Desk:
    """The reviewers' use cases, with a connection of their own; the office's clock and list of messages."""

    def __init__(self, office: Office) -> None:
        self._hot = HotConnection(office.dsn, "fraud-reviews-test")
        self.work = work = UnitOfWork(self._hot, Outbox("fraud", office.publisher, self._hot))
        clock = lambda: office.now  # noqa: E731 -- the office's clock moves
        self.claim = ClaimReview(work, clock)
        self._engine = make_engine(office.dsn, "fraud-comments-test")
        self.note_comment = NoteComment(StaffWork(self._engine, Outbox("fraud", office.publisher, self._hot)), clock)
        self.screening = ScreeningInForce(office.origins)
        self.decide = DecideReview(work, PolicyInForce(velocity_lifted=False), self.screening, clock)
        self.decide_many = DecideReviews(work, self.decide, clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hot.close()
        await self._engine.dispose()

    async def comment(self, transfer_id: str, text: str, by: Asker) -> None:
        """Comment without a key."""
        await self.note_comment(Once(None, b"", "", lambda _: KeptAnswer(204, "", "", b"")), transfer_id, text, by)

    async def say(self, decision: Decision, transfer_id: str, by: Asker | None = None) -> Decided:
        return await self.decide(transfer_id, decision, "looked at it", by or reviewer())


def in_bulk(by: Asker, decision: Decision = "approve", *, key: str = "", body: bytes = b"") -> BulkRequest:
    """Give a request to decide on many, under a key of its own unless one is named."""
    request_key = RequestKey(by.actor_id, f"POST …/{decision}", key or new_id())
    return BulkRequest(request_key, body.ljust(32, b"."), decision, "looked at them")


def reviewer() -> Asker:
    """Give a person of compliance who has nothing to do with anybody."""
    return Asker(actor_id=new_id(), actor_kind="person")


@dataclass(frozen=True)
class Row:
    """A review as it stands."""

    status: str
    claimed_by: str | None
    first_approved_by: str | None
    decided_by: str | None


async def hold_for_review(
    office: Office, command: TransferCommand | None = None, reasons: tuple[HoldReason, ...] = ("review",)
) -> TransferCommand:
    """Decide on a transfer as a rule does that holds it."""
    command = command or transfer(new_id())
    await keep_held(office.work, office.cache, command, reasons, office.now)
    return command


async def review_of(office: Office, transfer_id: str) -> Row:
    [row] = await office.query(
        "SELECT status, claimed_by::text, first_approved_by::text, decided_by::text FROM fraud.reviews"
        " WHERE transfer_id = $1",
        transfer_id,
    )
    return Row(*row)


async def events_of(office: Office, transfer_id: str) -> list[tuple[Any, ...]]:
    """Return kind, actor and text of what was done about a review, in order."""
    rows = await office.query(
        "SELECT kind, actor_id::text, text FROM fraud.review_events WHERE transfer_id = $1 ORDER BY event_id",
        transfer_id,
    )
    return [tuple(row) for row in rows]
