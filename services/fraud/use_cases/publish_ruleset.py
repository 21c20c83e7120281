"""Staff put a rule set live. It takes two of them, unless the change is small or undoes the last one."""

from dataclasses import replace

from libs.common.approvals.keep_approvals import keep_approvals
from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import NotedEvent, StoredRuleset, move
from services.fraud.domain.ruleset_publications import publish
from services.fraud.store.ruleset_publications import find_newest_publications, keep_publication
from services.fraud.store.ruleset_texts import read_for_staff
from services.fraud.store.rulesets import find_live_ruleset, lock_rulesets, note_event
from services.fraud.use_cases.change_ruleset import known_ruleset
from services.fraud.use_cases.compare_ruleset import compare_ruleset


class PublishRuleset:
    """Puts rule sets live. Every decision after the commit rests on the new one, in every process."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, version: int, reason: str) -> StoredRuleset:
        """Put a rule set live, and retire what it replaces.

        Locks: all rule sets, then what voids approvals. Raises: NotFound `ruleset_not_found`; Conflict
        `ruleset_status`; Unprocessable `ruleset_invalid`, where this version of fraud cannot read it; Conflict
        `ruleset_needs_approval`, where the change takes two people; Unavailable.
        """
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            before = await known_ruleset(connection, version)
            status, now = move(before.status, "put_live"), self._clock()
            live = await find_live_ruleset(connection)
            change = await compare_ruleset(connection, await read_for_staff(before.document))
            # The database looks once more whether the approval stands. Comparing takes long, so not before.
            await keep_approvals(tx)
            publication = publish(
                await known_ruleset(connection, version),
                change=change,
                live_version=live.version if live else None,
                newest_two=await find_newest_publications(connection),
                by=asker.actor_id,
                at=now,
            )
            if publication is None:
                raise Conflict(
                    "ruleset_needs_approval",
                    "Beside what is live, or what two people agreed on last, it lets more pass or blocks by itself: "
                    "have a colleague approve it first, who does not put it live himself.",
                )
            await keep_publication(connection, publication)
            if live is not None:
                retired = NotedEvent("retired", asker.actor_id, reason, now)
                await note_event(connection, new_id(), live.version, retired)
            await note_event(connection, new_id(), version, NotedEvent("put_live", asker.actor_id, reason, now))
            facts = {"before": before.status, "after": status, "basis": publication.basis}
            await record(tx, asker, "ruleset.put_live", at=now, resource=("ruleset", str(version)), facts=facts)
        return replace(before, status=status, approval_stands=False)
