"""Staff write a rule set: checked whole, stored as a draft, decided by nobody yet."""

from hashlib import sha256

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import NotedEvent, StoredRuleset
from services.fraud.store.ruleset_texts import read_for_staff
from services.fraud.store.rulesets import insert_ruleset, lock_rulesets, next_version, note_event
from services.fraud.use_cases.compare_ruleset import compare_ruleset


class SubmitRuleset:
    """Stores drafts. The same text may be submitted again: it is another version then."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, document: str, reason: str) -> StoredRuleset:
        """Store the draft with the risk it has beside what is live now, and what two people agreed on last.

        Locks: all rule sets. Raises: Unprocessable `ruleset_invalid`; Unavailable.
        """
        read = await read_for_staff(document)
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            await lock_rulesets(connection)
            now = self._clock()
            ruleset = StoredRuleset(
                version=await next_version(connection),
                name=read.name,
                status="draft",
                risk=await compare_ruleset(connection, read),
                reason=reason,
                author=asker.actor_id,
                created_at=now,
                approved_by=None,
                approved_at=None,
                sha256=sha256(document.encode()).digest(),
                document=document,
                approval_id=None,
                approval_stands=False,
            )
            await insert_ruleset(connection, ruleset)
            event = NotedEvent("drafted", asker.actor_id, reason, now)
            await note_event(connection, new_id(), ruleset.version, event)
            facts = {"risk": ruleset.risk, "sha256": ruleset.sha256.hex()}
            await record(tx, asker, "ruleset.write", at=now, resource=("ruleset", str(ruleset.version)), facts=facts)
        return ruleset
