"""The rule set that comes with the release goes live where there has never been any."""

from hashlib import sha256
from importlib.resources import files
from typing import Final

from libs.common.clock import Clock
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import NotedEvent, StoredRuleset
from services.fraud.domain.ruleset_publications import Publication
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.store.ruleset_publications import keep_publication
from services.fraud.store.rulesets import insert_ruleset, lock_rulesets, next_version, note_event
from services.fraud.store.unit_of_work import UnitOfWork

FIRST_VERSION: Final = 2
_AUTHOR: Final = "tallystick"
_INSTALLATION: Final = "installation"
_REASON: Final = "The rules that this release came with; there were none."


def shipped_rules() -> str:
    """Return the YAML of the rule set that is shipped."""
    return (files("services.fraud") / "rulesets" / "default.yaml").read_text("utf-8")


class PublishShippedRules:
    """Puts the shipped rules live. Idempotent: once any rule set is stored it does nothing, for ever."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        """Use the unit of work that screening uses: this comes before the first decision."""
        self._work = work
        self._clock = clock

    async def __call__(self) -> None:
        """Look, and publish. Locks: all rule sets. Raises: Unavailable."""
        text = shipped_rules()
        async with self._work.open() as transaction:
            connection = transaction.connection
            await lock_rulesets(connection)
            if await next_version(connection) > FIRST_VERSION:
                return
            now, approval_id = self._clock(), new_id()
            ruleset = StoredRuleset(
                version=FIRST_VERSION,
                name=read_ruleset(text).name,
                status="draft",
                risk="high",
                reason=_REASON,
                author=_AUTHOR,
                created_at=now,
                approved_by=_INSTALLATION,
                approved_at=now,
                sha256=sha256(text.encode()).digest(),
                document=text,
                approval_id=approval_id,
                approval_stands=True,
            )
            first = Publication(
                1, FIRST_VERSION, None, "approval", FIRST_VERSION, approval_id, _INSTALLATION, _AUTHOR, now
            )
            await insert_ruleset(connection, ruleset)
            await keep_publication(connection, first)
            await note_event(connection, new_id(), FIRST_VERSION, NotedEvent("put_live", _INSTALLATION, _REASON, now))
