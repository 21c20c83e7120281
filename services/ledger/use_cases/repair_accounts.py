"""Mend accounts whose rows are not what the journal proves. Entries and records are evidence and stay as they are."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.entry import RECORDS, new_entry
from libs.common.clock import Clock, from_rfc3339, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unprocessable
from services.ledger.audit.findings import Finding, Verification
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import BALANCE_REPAIRED, RepairedField, RepairRecord
from services.ledger.store.repairs import Repair, load_size, write_repair
from services.ledger.store.verifications import would_halt
from services.ledger.use_cases.record_alone import record_alone
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.release_finding import REASON_MAX

_SAID_MAX: Final = 5
_SIDES: Final = (("before", "stored"), ("after", "computed"))

Verify = Callable[[], Awaitable[Verification]]
"""Verifies everything there is, with keys that are trusted."""


@dataclass(frozen=True, slots=True)
class BalancePlan:
    """What a repair would set: account → fields with both values, as the verification found them."""

    found: Verification
    accounts: dict[str, list[RepairedField]]
    halts: bool
    """Whether the shard stands still because of it: not if every finding was released, and nothing else halts it."""


class RepairAccounts:
    """Plans a repair by verifying everything, and does it when told.

    Only rows of accounts are mended, and only while records, hashes, signatures, entries and all else verify: then the
    journal proves what each row has to be. What was found halts the shard first, as any verification's findings do, so
    nothing is decided on a row that is being mended; releasing the findings afterwards is a person's decision.
    """

    def __init__(
        self, hot: HotConnection, verify: Verify, record: RecordVerification, signer: Signer, clock: Clock, shard: int
    ) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._verify = verify
        self._record = record
        self._signer = signer
        self._clock = clock
        self._shard = shard

    async def plan(self) -> BalancePlan:
        """Return what would be set; nothing is written. Raises: Conflict (books_unproven); CannotVerify."""
        found = await self._verify()
        accounts = _fields_to_set(found.findings)
        halts = await would_halt(self._hot, self._shard, [one.digest for one in found.findings])
        return BalancePlan(found, accounts, halts)

    async def carry_out(self, plan: BalancePlan, *, asker: Asker, reason: str) -> Verification:
        """Do it, an account a commit, and verify everything again. Returns what is found then.

        Emits: LedgerIntegrityBroken for each finding that nobody has released. Raises: Unprocessable (reason_missing);
        Conflict (books_unproven, ledger_moved), after which what was mended stays mended; CannotVerify; Unavailable.
        """
        if not reason.strip() or len(reason) > REASON_MAX:
            raise Unprocessable("reason_missing", f"Say why, in at most {REASON_MAX} characters.")
        await self._record(plan.found)
        size, accounts = plan.found.size, plan.accounts
        if await load_size(self._hot, self._shard) != size:
            # It posted until it was halted: the same accounts, and what is proven of them by now.
            again = await self.plan()
            size = again.found.size
            accounts = {account_id: again.accounts[account_id] for account_id in accounts.keys() & again.accounts}
        for account_id, fields in accounts.items():
            await self._repair(size, account_id, fields, asker, reason)
            size += 1
        found = await self._verify()
        await self._record(found)
        return found

    async def _repair(
        self, size: int, account_id: str, fields: Sequence[RepairedField], asker: Asker, reason: str
    ) -> None:
        await write_repair(
            self._hot,
            self._shard,
            size=size,
            account_id=account_id,
            fields=fields,
            decide=lambda head: self._decide(head, account_id, fields, asker, reason),
        )

    def _decide(
        self, head: JournalHead, account_id: str, fields: Sequence[RepairedField], asker: Asker, reason: str
    ) -> Repair:
        salt = token_hex(16)
        now = max(to_rfc3339(self._clock()), head.last_time)
        record = RepairRecord(
            account_id=account_id,
            actor_id=asker.actor_id,
            fields=list(fields),
            index=head.size,
            kind=BALANCE_REPAIRED,
            reason_commitment=sha256(f"{salt}{reason}".encode()).hexdigest(),
            shard=self._shard,
            time=now,
        )
        at = from_rfc3339(now)
        changed = {name: {one.field: getattr(one, value) for one in fields} for name, value in _SIDES}
        entry = new_entry(
            "ledger",
            asker,
            "ledger.repair",
            at=at,
            resource=("account", account_id),
            facts={RECORDS: [head.size], **changed},
        )
        return Repair(record_alone(record, head, self._signer), asker.actor_id, reason, salt, at, entry)


def _fields_to_set(findings: Sequence[Finding]) -> dict[str, list[RepairedField]]:
    """Return account → what to set. Raises: Conflict when anything else is broken: then nothing proves a balance."""
    others = [one for one in findings if one.kind != "balance_altered" or not one.differences]
    if others:
        said = "; ".join(f"{one.kind} in {one.table} {one.row}" for one in others[:_SAID_MAX])
        raise Conflict("books_unproven", f"Records and entries do not verify, so no balance is repaired: {said}.")
    return {
        one.row: [RepairedField(different.computed, different.field, different.stored) for different in one.differences]
        for one in findings
    }
