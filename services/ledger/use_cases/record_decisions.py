"""Turn decisions into journal records, chain them, let the tree grow and sign its new head."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from libs.common.errors import InvariantBroken
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.signed_note import sign_note, vkey
from libs.common.proof.tree_head import TreeHead
from services.ledger.audit.signed_state import SignedState
from services.ledger.domain.commands import (
    CaptureTransfer,
    ChangeAccount,
    HoldResolved,
    LedgerCommand,
    PublishFeeSchedule,
    ReverseTransfer,
    TransferScreened,
    VoidTransfer,
)
from services.ledger.domain.run import AccountAnswer, Change, CommandAnswer, Decisions, FeeAnswer
from services.ledger.domain.transfer import Settlement, Transfer
from services.ledger.store.batch import Sealed
from services.ledger.store.fee_schedules import encode_rules
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import (
    ACCOUNT_CHANGED,
    COMMAND_REFUSED,
    FEES_PUBLISHED,
    AccountRecord,
    CommandRecord,
    FeesRecord,
    JournalRecord,
    TransferRecord,
    encode_record,
    record_fees,
    record_legs,
)

RefusableCommand: TypeAlias = CaptureTransfer | VoidTransfer | ChangeAccount | PublishFeeSchedule
"""Commands whose refusal changes nothing else; a reversal's is a transfer of its own."""


class Signer:
    """Signs tree heads, and what verifications saw, under the log's name.

    Whoever adds a record holds one: the writer, who releases a halted shard, and who repairs an account. The head's
    compare-and-set keeps them from signing two trees of one size.
    """

    def __init__(self, origin: str, private_key: Ed25519PrivateKey, allow: Callable[[int], None] | None = None) -> None:
        """Take the log's name (its C2SP origin, which is also the key's name) and its key.

        `allow` is asked before each signature, with the tree's size, and raises to forbid it. No batch commits without
        a signature, so what it forbids is not written.
        """
        self._origin = origin
        self._private_key = private_key
        self._allow = allow
        self.vkey = vkey(origin, private_key.public_key())

    def sign(self, tree: TreeHead) -> str:
        """Return the signed note of the tree's checkpoint. Raises: whatever forbids it."""
        if self._allow is not None:
            self._allow(tree.size)
        return sign_note(Checkpoint(self._origin, tree.size, tree.root).text(), self._origin, self._private_key)

    def sign_state(self, state: SignedState) -> str:
        """Return the signed note of what a good verification saw."""
        return sign_note(state.text(), self._origin, self._private_key)


def record_decisions(decisions: Decisions, *, head: JournalHead, now: str, shard: int, signer: Signer) -> Sealed:
    """Return the records of all changes, in their order, and the journal's head after them.

    leaf = SHA-256(0x00 ‖ record), as RFC 6962 wants; chain = SHA-256(previous chain ‖ leaf).
    """
    records: list[bytes] = []
    leaves: list[bytes] = []
    chain: list[bytes] = []
    link = head.chain_hash
    for change in decisions.changes:
        record = encode_record(_record(change, now, shard))
        leaf = sha256(b"\x00" + record).digest()
        link = sha256(link + leaf).digest()
        records.append(record)
        leaves.append(leaf)
        chain.append(link)
    tree, full_tiles = head.tree.extended(leaves)
    after = JournalHead(tree.size, link, now, tree)
    return Sealed(records, leaves, chain, full_tiles, after, signer.sign(tree))


def _record(change: Change, now: str, shard: int) -> JournalRecord:
    state, source = change.state, change.source
    if isinstance(state, Transfer):
        if isinstance(source, (TransferScreened, HoldResolved)):  # nearly all of them
            return _screened_record(state, source, change, now, shard)
        return _later_record(state, source, change, now, shard)
    if isinstance(state, AccountAnswer) and isinstance(source, ChangeAccount):
        return _changed_account(state, source, now, shard)
    if isinstance(state, FeeAnswer) and isinstance(source, PublishFeeSchedule):
        return _published_fees(state, source, now, shard)
    if isinstance(state, CommandAnswer) and isinstance(source, RefusableCommand):
        return _refused_command(state, source, now, shard)
    raise InvariantBroken("every change has its record", kind=change.kind)


def _screened_record(
    transfer: Transfer, source: TransferScreened | HoldResolved, change: Change, now: str, shard: int
) -> TransferRecord:
    """Return the record of what fraud's word brought about."""
    command = source.command
    record = TransferRecord(
        actor_id=command.actor_id,
        code=transfer.code,
        decision_id=source.decision_id,
        fee_minor=transfer.fee_minor,
        fee_schedule=change.fee_schedule,
        fees=record_fees(change.fees) if change.fees else [],
        index=transfer.journal_index,
        kind=change.kind,
        legs=record_legs(change.legs),
        memo_commitment=command.memo_commitment,
        reasons=transfer.reasons,
        requested_at=command.requested_at,
        ruleset=source.ruleset,
        shard=shard,
        time=now,
        transfer_id=transfer.transfer_id,
        transfer_kind=transfer.kind,
        verdict=source.resolution if isinstance(source, HoldResolved) else source.verdict,
        version=transfer.version,
    )
    return record if transfer.settlement is None else _with_settlement(record, transfer.settlement)


def _later_record(transfer: Transfer, source: LedgerCommand, change: Change, now: str, shard: int) -> TransferRecord:
    """Return the record of what a command or the clock brought about; fraud's decision on the transfer stands."""
    settlement = transfer.settlement
    provenance = change.provenance if settlement is None else settlement.provenance
    record = TransferRecord(
        actor_id=source.actor_id,
        code=transfer.code,
        command_id=source.command_id,
        decision_id=provenance.decision_id,
        fee_minor=transfer.fee_minor,
        fee_schedule=change.fee_schedule,
        fees=record_fees(change.fees),
        index=transfer.journal_index,
        kind=change.kind,
        legs=record_legs(change.legs),
        memo_commitment=source.reason_commitment if isinstance(source, ReverseTransfer) else "",
        reasons=transfer.reasons,
        requested_at=source.requested_at,
        reverses=transfer.reverses,
        ruleset=provenance.ruleset,
        shard=shard,
        time=now,
        transfer_id=transfer.transfer_id,
        transfer_kind=transfer.kind,
        verdict=provenance.verdict,
        version=transfer.version,
    )
    return record if settlement is None else _with_settlement(record, settlement)


def _with_settlement(record: TransferRecord, settlement: Settlement) -> TransferRecord:
    """Return the record with how far the transfer is settled."""
    return replace(
        record,
        captured_minor=settlement.captured_minor if settlement.resolver and any(settlement.captured_minor) else (),
        expires_at=settlement.expires_at,
        resolver=settlement.resolver,
        reversed_minor=settlement.reversed_minor if any(settlement.reversed_minor) else (),
    )


def _refused_command(answer: CommandAnswer, source: RefusableCommand, now: str, shard: int) -> CommandRecord:
    return CommandRecord(
        actor_id=source.actor_id,
        code=answer.code,
        command=answer.kind,
        command_id=answer.command_id,
        index=answer.journal_index,
        kind=COMMAND_REFUSED,
        requested_at=source.requested_at,
        shard=shard,
        subject_id=answer.subject_id,
        time=now,
    )


def _changed_account(state: AccountAnswer, source: ChangeAccount, now: str, shard: int) -> AccountRecord:
    return AccountRecord(
        account_id=state.account_id,
        account_status=state.status,
        actor_id=source.actor_id,
        command_id=source.command_id,
        index=state.journal_index,
        kind=ACCOUNT_CHANGED,
        maximum_minor=state.maximum_minor,
        minimum_minor=state.minimum_minor,
        reason_commitment=source.reason_commitment,
        requested_at=source.requested_at,
        shard=shard,
        time=now,
    )


def _published_fees(state: FeeAnswer, source: PublishFeeSchedule, now: str, shard: int) -> FeesRecord:
    return FeesRecord(
        actor_id=source.actor_id,
        command_id=source.command_id,
        index=state.journal_index,
        kind=FEES_PUBLISHED,
        requested_at=source.requested_at,
        rules_sha256=sha256(encode_rules(state.schedule)).hexdigest(),
        shard=shard,
        time=now,
        version=state.schedule.version,
    )
