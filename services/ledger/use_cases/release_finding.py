"""Let a halted shard go on in spite of a finding: a person says why, and the journal says who."""

from hashlib import sha256
from secrets import token_hex
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.entry import RECORDS, new_entry
from libs.common.clock import Clock, from_rfc3339, to_rfc3339
from libs.common.contracts.ledger import LedgerReleased
from libs.common.contracts.topics import HALTS
from libs.common.db.hot import HotConnection
from libs.common.errors import Unprocessable
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import FINDING_RELEASED, ReleaseRecord
from services.ledger.store.releases import Release, write_release
from services.ledger.store.verifications import OpenFinding
from services.ledger.use_cases.record_alone import record_alone
from services.ledger.use_cases.record_decisions import Signer

REASON_MAX: Final = 500
"""Characters."""


class ReleaseFinding:
    """Releases findings of one shard; with the last of them the shard goes on.

    Locks: the shard's head. Commits: the record with its block and checkpoint, the release, its audit entry, what is
    said about it. Emits: LedgerReleased, AuditRecorded. Raises: Unprocessable (reason_missing); NotFound
    (finding_not_found); Conflict (ledger_not_halted); Unavailable.
    """

    def __init__(self, hot: HotConnection, outbox: Outbox, signer: Signer, clock: Clock, shard: int) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._outbox = outbox
        self._signer = signer
        self._clock = clock
        self._shard = shard

    async def __call__(self, finding_id: str, *, asker: Asker, reason: str) -> int:
        """Release it. Returns how many findings still halt the shard."""
        if not reason.strip() or len(reason) > REASON_MAX:
            raise Unprocessable("reason_missing", f"Say why, in at most {REASON_MAX} characters.")
        others, row = await write_release(
            self._hot,
            self._outbox,
            self._shard,
            finding_id,
            lambda finding, head: self._decide(finding, head, asker, reason),
        )
        asker.is_recorded = True
        await self._outbox.publish(row)
        return others

    def _decide(self, finding: OpenFinding, head: JournalHead, asker: Asker, reason: str) -> Release:
        salt = token_hex(16)
        now = max(to_rfc3339(self._clock()), head.last_time)
        record = ReleaseRecord(
            actor_id=asker.actor_id,
            finding_digest=finding.digest,
            finding_id=finding.finding_id,
            index=head.size,
            kind=FINDING_RELEASED,
            reason_commitment=sha256(f"{salt}{reason}".encode()).hexdigest(),
            shard=self._shard,
            time=now,
        )

        def say(open_findings: int) -> Outgoing:
            message = LedgerReleased(
                shard=self._shard,
                finding_id=finding.finding_id,
                open_findings=open_findings,
                journal_index=head.size,
                occurred_at=now,
            )
            return outgoing(HALTS, str(self._shard), message)

        sealed = record_alone(record, head, self._signer)
        at = from_rfc3339(now)
        entry = new_entry(
            "ledger",
            asker,
            "ledger.release",
            at=at,
            resource=("finding", finding.finding_id),
            facts={RECORDS: [head.size]},
        )
        return Release(sealed, asker.actor_id, reason, salt, at, say, entry)
