"""Staff approve a rule set, and let it judge in the shadow."""

from dataclasses import replace
from typing import Final, Literal

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, Forbidden, NotFound
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import SHADOWS_MAX, NotedEvent, RulesetEvent, StoredRuleset, move
from services.fraud.store.rulesets import (
    approve_ruleset,
    count_shadows,
    find_ruleset,
    lock_rulesets,
    move_ruleset,
    note_event,
)

_Move = Literal["shadow", "unshadow"]
_EVENTS: Final[dict[_Move, RulesetEvent]] = {"shadow": "shadowed", "unshadow": "unshadowed"}


class ChangeRuleset:
    """Approves and moves rule sets; neither changes what decides.

    Locks: all rule sets. Raises: NotFound `ruleset_not_found`; Unavailable.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def approve(self, *, asker: Asker, version: int, reason: str) -> StoredRuleset:
        """Note that a second person agrees with putting it live beside what is live now.

        Raises: Forbidden `own_ruleset`; Conflict `ruleset_approved`, `ruleset_status` of what is live itself.
        """
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            before = await known_ruleset(connection, version)
            if before.author == asker.actor_id:
                raise Forbidden("own_ruleset", "Nobody approves a rule set that he wrote; ask a colleague.")
            if before.approval_stands:
                raise Conflict("ruleset_approved", "Somebody has approved this rule set already.")
            move(before.status, "put_live")
            now, approval_id = self._clock(), new_id()
            await approve_ruleset(connection, version, approval_id=approval_id, approved_by=asker.actor_id, at=now)
            await note_event(connection, approval_id, version, NotedEvent("approved", asker.actor_id, reason, now))
            await record(tx, asker, "ruleset.approve", at=now, resource=("ruleset", str(version)))
        return replace(
            before, approved_by=asker.actor_id, approved_at=now, approval_id=approval_id, approval_stands=True
        )

    async def __call__(self, *, asker: Asker, version: int, action: _Move, reason: str) -> StoredRuleset:
        """Move a rule set into the shadow or out of it. Raises: Conflict `ruleset_status`, `too_many_shadows`."""
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            before = await known_ruleset(connection, version)
            status, now = move(before.status, action), self._clock()
            if action == "shadow" and await count_shadows(connection) >= SHADOWS_MAX:
                raise Conflict("too_many_shadows", f"{SHADOWS_MAX} rule sets are in the shadow; take one out first.")
            await move_ruleset(connection, version, status)
            event = NotedEvent(_EVENTS[action], asker.actor_id, reason, now)
            await note_event(connection, new_id(), version, event)
            facts = {"before": before.status, "after": status}
            await record(tx, asker, f"ruleset.{action}", at=now, resource=("ruleset", str(version)), facts=facts)
        return replace(before, status=status)


async def known_ruleset(connection: asyncpg.Connection, version: int) -> StoredRuleset:
    """Return a rule set. Raises: NotFound `ruleset_not_found`."""
    ruleset = await find_ruleset(connection, version)
    if ruleset is None:
        raise NotFound("ruleset_not_found", "There is no rule set of this version.")
    return ruleset
