"""What the ledger says of its decisions, as messages of the bus.

A message's id names the record that proves it, so that repetitions share it.
"""

from msgspec.structs import replace

from libs.common.contracts.ledger import CommandDecided, LedgerAccountChanged, LedgerAccountOpened, TransferChanged
from libs.common.contracts.topics import LEDGER_ACCOUNTS, TRANSFERS
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from services.ledger.domain.run import AccountAnswer, Answer, CommandAnswer
from services.ledger.domain.transfer import Settlement, Transfer


def answer_message(answer: Answer, shard: int, traceparent: str = "") -> Outgoing:
    """Return the message that says what became of a transfer, a command or an account."""
    if isinstance(answer, Transfer):
        settlement = answer.settlement
        message = _transfer(answer, shard) if settlement is None else _settled(answer, settlement, shard)
        message_id = f"ledger-{shard}-{answer.journal_index}"
        return outgoing(TRANSFERS, answer.transfer_id, message, message_id=message_id, traceparent=traceparent)
    if isinstance(answer, CommandAnswer):
        return outgoing(
            TRANSFERS, answer.command_id, _command(answer, shard), message_id=f"ledger-command-{answer.command_id}"
        )
    return outgoing(
        LEDGER_ACCOUNTS,
        answer.account_id,
        _account(answer, shard),
        message_id=f"ledger-{shard}-{answer.journal_index}-account",
    )


def account_opened(account_id: str, owner_id: str, asset: str, opened_at: str) -> Outgoing:
    """Return the message that says that an account is in the books."""
    message = LedgerAccountOpened(account_id=account_id, owner_id=owner_id, asset=asset, occurred_at=opened_at)
    return outgoing(LEDGER_ACCOUNTS, account_id, message)


def _transfer(transfer: Transfer, shard: int) -> TransferChanged:
    return TransferChanged(
        transfer_id=transfer.transfer_id,
        status=transfer.status,
        version=transfer.version,
        code=transfer.code,
        reasons=transfer.reasons,
        facts=dict(transfer.facts),
        shard=shard,
        journal_index=transfer.journal_index,
        occurred_at=transfer.changed_at,
        fee_minor=transfer.fee_minor,
        reverses=transfer.reverses,
        gave_back_minor=transfer.gave_back_minor,
        attempts=transfer.attempts,
    )


def _settled(transfer: Transfer, settlement: Settlement, shard: int) -> TransferChanged:
    was_held, was_reversed = bool(settlement.resolver), any(settlement.reversed_minor)
    return replace(
        _transfer(transfer, shard),
        resolver=settlement.resolver,
        expires_at=settlement.expires_at,
        captured_minor=settlement.captured_minor if was_held and any(settlement.captured_minor) else (),
        reversed_minor=settlement.reversed_minor if was_reversed else (),
    )


def _command(answer: CommandAnswer, shard: int) -> CommandDecided:
    return CommandDecided(
        command_id=answer.command_id,
        subject_id=answer.subject_id,
        status=answer.status,
        code=answer.code,
        facts=dict(answer.facts),
        shard=shard,
        journal_index=answer.journal_index,
        occurred_at=answer.changed_at,
    )


def _account(answer: AccountAnswer, shard: int) -> LedgerAccountChanged:
    return LedgerAccountChanged(
        account_id=answer.account_id,
        status=answer.status,
        minimum_minor=answer.minimum_minor,
        maximum_minor=answer.maximum_minor,
        shard=shard,
        journal_index=answer.journal_index,
        occurred_at=answer.changed_at,
    )
