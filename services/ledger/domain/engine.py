"""The ledger's decision: accounts as they are and commands in order in, what happens out. No I/O, no clock.

Every command gets exactly one answer for each transfer it is about. A transfer or command that was decided before, in
an earlier run or earlier in this one, is answered again with the state it has and moves nothing.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from services.ledger.domain.account import Account
from services.ledger.domain.block_command import block_command
from services.ledger.domain.change_account import change_account
from services.ledger.domain.commands import (
    AskedOfLedger,
    BlockedCommand,
    CaptureTransfer,
    ChangeAccount,
    Command,
    ExpireHold,
    HoldResolved,
    PublishFeeSchedule,
    ReverseTransfer,
    Source,
    TransferBatchScreened,
    TransferScreened,
    VoidTransfer,
)
from services.ledger.domain.end_hold import capture_transfer, expire_hold, void_transfer
from services.ledger.domain.fees import NO_FEES, FeeSchedule
from services.ledger.domain.post_screened import post_batch, post_screened, resolve_hold
from services.ledger.domain.publish_fees import publish_fees
from services.ledger.domain.reverse_transfer import reverse_transfer
from services.ledger.domain.run import CommandAnswer, Decisions, Run
from services.ledger.domain.transfer import Transfer

FREE_OF_CHARGE: Final[Mapping[int, FeeSchedule]] = MappingProxyType({0: NO_FEES})
"""Schedules of a ledger that has published none."""


def decide(
    commands: Sequence[Command],
    *,
    accounts: Mapping[str, Account],
    known: Mapping[str, Transfer],
    first_index: int,
    now: str,
    done: Mapping[str, CommandAnswer] = MappingProxyType({}),
    schedules: Mapping[int, FeeSchedule] = FREE_OF_CHARGE,
) -> Decisions:
    """Decide the commands in their order.

    `accounts` holds every account they name that exists, those that get fees too; `known` every transfer of theirs
    that was decided before, `done` every command. `first_index` is the journal index of the first new record, `now`
    its RFC 3339 time. `schedules` are all fee schedules by version, 0 included; the newest is in force.
    """
    run = Run(accounts, known, first_index=first_index, now=now, done=done, schedules=schedules)
    decide_more(run, commands)
    return run.decisions


def decide_more(run: Run, commands: Sequence[Command]) -> None:
    """Decide these commands in their order, after all that the run has decided before."""
    for command in commands:
        if isinstance(command, TransferScreened):  # nearly all of them
            post_screened(run, command)
        elif isinstance(command, BlockedCommand):
            run.decisions.has_words = True
            block_command(run, command)
        else:
            run.decisions.has_words |= isinstance(command, AskedOfLedger)
            _decide_rare(run, command)


def _decide_rare(run: Run, command: Source | TransferBatchScreened) -> None:
    match command:
        case HoldResolved():
            resolve_hold(run, command)
        case TransferBatchScreened():
            post_batch(run, command)
        case CaptureTransfer():
            capture_transfer(run, command)
        case VoidTransfer():
            void_transfer(run, command)
        case ReverseTransfer():
            reverse_transfer(run, command)
        case ChangeAccount():
            change_account(run, command)
        case PublishFeeSchedule():
            publish_fees(run, command)
        case ExpireHold():
            expire_hold(run, command)
        case TransferScreened():
            post_screened(run, command)
