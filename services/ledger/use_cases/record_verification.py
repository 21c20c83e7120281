"""Keep what a verification saw: sign a good one for the next to go on from, halt the shard on a bad one."""

from collections.abc import Sequence

import asyncpg
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
from services.ledger.store.verifications import halt, write_findings, write_verification
from services.ledger.use_cases.record_decisions import Signer

log = structlog.get_logger()


class RecordVerification:
    """Records verifications of one shard.

    A finding is the same as before when kind, row and damage are; one that was released does not halt again.
    Commits: the verification, new findings, the halt, what is said about it. Emits: LedgerIntegrityBroken for each
    finding that nobody has released. Raises: Unavailable.
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
        now = self._clock()
        async with self._hot.transaction() as connection:
            unreleased = await self._keep_findings(connection, found.findings)
            note = None
            if not unreleased and found.state_digest:
                note = self._signer.sign_state(
                    SignedState(self._shard, found.size, found.root, found.chain_hash, found.state_digest)
                )
            await write_verification(
                connection,
                (
                    verification_id or new_id(),
                    self._shard,
                    found.scope,
                    subject_id,
                    found.size,
                    found.records,
                    len(found.findings),
                    note,
                    now,
                ),
            )
            row = None
            if unreleased:
                await halt(connection, self._shard)
                row = self._outbox.row([self._broken(*each) for each in unreleased.items()])
                await self._outbox.insert(connection, row)
        if row is not None:
            await self._outbox.publish(row)
        elif note is not None:
            VERIFIED_RECORDS.labels(self._shard).set(found.size)
        return list(unreleased.values())

    async def _keep_findings(self, connection: asyncpg.Connection, findings: Sequence[Finding]) -> dict[str, Finding]:
        """Write findings that are new. Returns id → finding of those that nobody has released."""
        if not findings:
            return {}
        by_digest = {finding.digest: finding for finding in findings}
        fresh = {digest: (new_id(), msgspec.json.encode(one)) for digest, one in by_digest.items()}
        known = await write_findings(connection, self._shard, self._clock(), fresh)
        for digest, (finding_id, _) in fresh.items():
            if known[digest].finding_id == finding_id:
                finding = by_digest[digest]
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
        return {one.finding_id: by_digest[digest] for digest, one in known.items() if not one.is_released}

    def _broken(self, finding_id: str, finding: Finding) -> Outgoing:
        now = to_rfc3339(self._clock())
        message = LedgerIntegrityBroken(
            shard=self._shard,
            finding_id=finding_id,
            kind=finding.kind,
            table=finding.table,
            row=finding.row,
            found_at=now,
            occurred_at=now,
        )
        return outgoing(HALTS, str(self._shard), message)
