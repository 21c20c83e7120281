"""Keep what a verification saw: sign a good one for the next to go on from, halt the shard on a bad one."""

import msgspec
import structlog

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.ledger import LedgerIntegrityBroken
from libs.common.contracts.topics import HALTS
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from services.ledger.audit.findings import Finding, Verification
from services.ledger.audit.signed_state import SignedState
from services.ledger.metrics import INTEGRITY_FINDINGS, VERIFIED_RECORDS
from services.ledger.store.verifications import NewVerification, OpenFinding, write_verification
from services.ledger.use_cases.record_decisions import Signer

log = structlog.get_logger()


class RecordVerification:
    """Records verifications of one shard.

    A finding is the same as before when kind, row and damage are; one that was released does not halt again.
    Commits: the verification, new findings, the halt, what is said about it. Emits: LedgerIntegrityBroken for each
    finding that nobody has released, again and again. Raises: Unavailable.
    """

    def __init__(self, hot: HotConnection, outbox: Outbox, signer: Signer, clock: Clock, shard: int) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._outbox = outbox
        self._signer = signer
        self._clock = clock
        self._shard = shard

    async def __call__(self, found: Verification, subject_id: str = "", verification_id: str = "") -> list[Finding]:
        """Write it down. Returns the findings in spite of which nobody has let the shard go on."""
        by_digest = {finding.digest: finding for finding in found.findings}
        new = NewVerification(
            verification_id=verification_id or new_id(),
            scope=found.scope,
            subject_id=subject_id,
            size=found.size,
            records=found.records,
            findings={digest: msgspec.json.encode(finding) for digest, finding in by_digest.items()},
            note=self._signed(found),
            finished_at=self._clock(),
        )

        known, row = await write_verification(
            self._hot, self._outbox, self._shard, new, lambda halting: [self._broken(one) for one in halting]
        )
        for digest, one in known.items():
            if one.is_new:
                _report(one.finding_id, by_digest[digest])
        if row is not None:
            await self._outbox.publish(row)
        elif new.note is not None:
            VERIFIED_RECORDS.labels(self._shard).set(found.size)
        return [by_digest[digest] for digest, one in known.items() if not one.is_released]

    def _signed(self, found: Verification) -> str | None:
        """Return the signed state of a verification that saw all balances."""
        if not found.state_digest:
            return None
        state = SignedState(self._shard, found.size, found.root, found.chain_hash, found.state_digest)
        return self._signer.sign_state(state)

    def _broken(self, halting: OpenFinding) -> Outgoing:
        finding = msgspec.json.decode(halting.document, type=Finding)
        message = LedgerIntegrityBroken(
            shard=self._shard,
            finding_id=halting.finding_id,
            kind=finding.kind,
            table=finding.table,
            row=finding.row,
            occurred_at=to_rfc3339(self._clock()),
        )
        return outgoing(HALTS, str(self._shard), message)


def _report(finding_id: str, finding: Finding) -> None:
    INTEGRITY_FINDINGS.labels(finding.kind).inc()
    log.error(
        "ledger_integrity_broken",
        finding_id=finding_id,
        kind=finding.kind,
        table=finding.table,
        row=finding.row,
        fields=finding.fields,
        journal_index=finding.index,
    )
