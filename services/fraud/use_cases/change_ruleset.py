"""Staff approve a rule set, let it judge in the shadow, and put it live."""

from dataclasses import replace
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, Forbidden, NotFound
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import (
    SHADOWS_MAX,
    NotedEvent,
    RulesetAction,
    RulesetEvent,
    StoredRuleset,
    move,
    risk_of,
)
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.store.rulesets import (
    approve_ruleset,
    count_shadows,
    find_live_ruleset,
    find_ruleset,
    lock_rulesets,
    move_ruleset,
    note_event,
)

_EVENTS: Final[dict[RulesetAction, RulesetEvent]] = {
    "shadow": "shadowed",
    "unshadow": "unshadowed",
    "put_live": "put_live",
}


class ChangeRuleset:
    """Moves rule sets. Every decision after the commit rests on the new ones, in every process.

    Locks: all rule sets. Raises: NotFound `ruleset_not_found`; Unavailable.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def approve(self, *, asker: Asker, version: int, reason: str) -> StoredRuleset:
        """Note that a second person agrees. Raises: Forbidden `own_ruleset`; Conflict `ruleset_approved`."""
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            before = _found(await find_ruleset(connection, version))
            if before.author == asker.actor_id:
                raise Forbidden("own_ruleset", "Nobody approves a rule set that he wrote; ask a colleague.")
            if before.approved_by is not None:
                raise Conflict("ruleset_approved", "Somebody has approved this rule set already.")
            now = self._clock()
            await approve_ruleset(connection, version, asker.actor_id, now)
            await note_event(connection, new_id(), version, NotedEvent("approved", asker.actor_id, reason, now))
            await record(tx, asker, "ruleset.approve", at=now, resource=("ruleset", str(version)))
        return replace(before, approved_by=asker.actor_id, approved_at=now)

    async def __call__(self, *, asker: Asker, version: int, action: RulesetAction, reason: str) -> StoredRuleset:
        """Move a rule set, and retire what it replaces.

        Raises: Conflict `ruleset_status`; `ruleset_needs_approval`, where its risk takes two people, judged beside what
        is live now; `too_many_shadows`.
        """
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            before = _found(await find_ruleset(connection, version))
            status, now = move(before.status, action), self._clock()
            live = await find_live_ruleset(connection)
            if action == "put_live":
                _require_two_people(before, live)
            elif action == "shadow" and await count_shadows(connection) >= SHADOWS_MAX:
                raise Conflict("too_many_shadows", f"{SHADOWS_MAX} rule sets are in the shadow; take one out first.")
            if action == "put_live" and live is not None:
                await move_ruleset(connection, live.version, "retired")
                retired = NotedEvent("retired", asker.actor_id, reason, now)
                await note_event(connection, new_id(), live.version, retired)
            await move_ruleset(connection, version, status)
            event = NotedEvent(_EVENTS[action], asker.actor_id, reason, now)
            await note_event(connection, new_id(), version, event)
            facts = {"before": before.status, "after": status}
            await record(tx, asker, f"ruleset.{action}", at=now, resource=("ruleset", str(version)), facts=facts)
        return replace(before, status=status)


def _found(ruleset: StoredRuleset | None) -> StoredRuleset:
    if ruleset is None:
        raise NotFound("ruleset_not_found", "There is no rule set of this version.")
    return ruleset


def _require_two_people(ruleset: StoredRuleset, live: StoredRuleset | None) -> None:
    """Refuse what only its author has seen, if it lets pass more or blocks by itself; also beside a newer live set."""
    if ruleset.approved_by is not None:
        return
    risk = risk_of(read_ruleset(ruleset.document), read_ruleset(live.document) if live else None)
    if "high" in (risk, ruleset.risk):
        raise Conflict(
            "ruleset_needs_approval", "It lets more pass, or blocks by itself: have a colleague approve it first."
        )
