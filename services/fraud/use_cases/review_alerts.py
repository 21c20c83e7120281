"""Compliance claims an alert, notes what it learns, and closes it. Neither is ever told to whom it is about."""

from dataclasses import replace
from typing import Final, Literal

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, NotFound
from libs.common.http.idempotency import Once
from services.fraud.domain.alerts import LEGAL_MOVES, Alert, AlertEvent, AlertState, Verdict
from services.fraud.store.alert_reviews import lock_alert, save_alert

_NO_TEXT: Final = ""


class ReviewAlerts:
    """Takes what reviewers decide.

    Each locks the alert and writes its event and an audit entry with it; the entry names the alert, not the customer,
    because what is written about a customer is in the export of his data.
    Raises: NotFound `alert_not_found`, also about oneself; Conflict, Unavailable.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def claim(self, alert_id: str, *, asker: Asker) -> Alert:
        """Have whoever asks review it; whoever does already goes on. Raises: Conflict `alert_claimed`."""
        async with self._uow.begin() as tx:
            before = await _locked(tx, alert_id, asker)
            if before.state == "in_review":
                _require_reviewer(before, asker)
                return before
            return await self._move(tx, before, "in_review", "claimed", _NO_TEXT, asker=asker)

    async def give_back(self, alert_id: str, *, reason: str, asker: Asker) -> Alert:
        """Open it to everybody again, whoever had claimed it: colleagues fall ill."""
        async with self._uow.begin() as tx:
            return await self._move(tx, await _locked(tx, alert_id, asker), "open", "returned", reason, asker=asker)

    async def close(self, alert_id: str, *, verdict: Verdict, reason: str, asker: Asker) -> Alert:
        """Close it for good. Raises: Conflict `alert_move_illegal` unless it is claimed, `alert_claimed` by whom."""
        async with self._uow.begin() as tx:
            before = await _locked(tx, alert_id, asker)
            if before.state == "in_review":
                _require_reviewer(before, asker)
            return await self._move(tx, before, verdict, "closed", reason, asker=asker)

    async def note(self, once: Once[Alert], alert_id: str, *, note: str, asker: Asker) -> Alert:
        """Add to what is known of it, in any state. Idempotent by: the request's key. Raises: AnsweredBefore."""
        async with once.work(self._uow) as tx:
            before = await _locked(tx, alert_id, asker)
            alert = await self._save(tx, before, before.state, before.claimed_by, "noted", note, asker=asker)
            tx.made(alert)
        return alert

    async def _move(
        self,
        tx: Transaction,
        before: Alert,
        state: AlertState,
        event: Literal["claimed", "returned", "closed"],
        reason: str,
        *,
        asker: Asker,
    ) -> Alert:
        legal = LEGAL_MOVES[before.state]
        if state not in legal:
            raise Conflict(
                "alert_move_illegal",
                f"The alert is {before.state}.",
                alert_state=before.state,
                legal_states=list(legal),
            )
        claimed_by = None if state == "open" else asker.actor_id
        return await self._save(tx, before, state, claimed_by, event, reason, asker=asker)

    async def _save(
        self,
        tx: Transaction,
        before: Alert,
        state: AlertState,
        claimed_by: str | None,
        event: Literal["claimed", "returned", "closed", "noted"],
        reason: str,
        *,
        asker: Asker,
    ) -> Alert:
        now = self._clock()
        alert = replace(before, state=state, claimed_by=claimed_by, version=before.version + 1, changed_at=now)
        said = AlertEvent(alert.version, event, before.state, state, asker.actor_id, reason, now)
        await save_alert(tx.connection, alert, said)
        facts = {"event": event, "before": before.state, "after": state}
        await record(tx, asker, "alert.decide", at=now, resource=("alert", alert.alert_id), facts=facts)
        return alert


async def _locked(tx: Transaction, alert_id: str, asker: Asker) -> Alert:
    alert = await lock_alert(tx.connection, alert_id, asker.actor_id)
    if alert is None:
        raise NotFound("alert_not_found", "There is no such alert.")
    return alert


def _require_reviewer(alert: Alert, asker: Asker) -> None:
    if alert.claimed_by != asker.actor_id:
        raise Conflict("alert_claimed", "A colleague reviews this; he closes it, or somebody gives it back first.")
