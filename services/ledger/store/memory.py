"""What the writer remembers between two batches, so that most of them have nothing to read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg

from libs.common.db.hot import HotConnection
from services.ledger.domain.account import Account
from services.ledger.domain.commands import (
    BlockedCommand,
    CaptureTransfer,
    ChangeAccount,
    Command,
    ExpireHold,
    HoldResolved,
    Leg,
    PublishFeeSchedule,
    ReverseTransfer,
    TransferBatchScreened,
    TransferScreened,
    VoidTransfer,
)
from services.ledger.domain.fees import FeeSchedule
from services.ledger.domain.run import CommandAnswer
from services.ledger.domain.transfer import Transfer
from services.ledger.store.accounts import load_accounts
from services.ledger.store.batch import HeadMoved
from services.ledger.store.commands import load_commands
from services.ledger.store.fee_schedules import accounts_of_fees, load_fee_schedules
from services.ledger.store.heads import JournalHead, load_head
from services.ledger.store.transfers import load_transfers

_CACHED_ACCOUNTS_MAX: Final = 100_000


class Recalled(NamedTuple):
    """What a batch is decided on. `accounts` are those it needs, whatever is forgotten before it is written."""

    head: JournalHead
    accounts: Mapping[str, Account]
    known: dict[str, Transfer]
    done: dict[str, CommandAnswer]
    schedules: Mapping[int, FeeSchedule]


class Memory:
    """The journal's end and the accounts, as the last commit left them. Every write checks what it was decided on.

    Which transfers were decided before is not remembered but looked up, or presumed: that a screened transfer is new
    is nearly always right, and when it is wrong the transfers' primary key refuses the whole batch. `presumed` says
    whether the newest batch was recalled without looking. Repetitions come in runs (a consumer that starts again, a
    producer that was not sure), so after one every batch looks, until one has brought nothing that was known.
    """

    def __init__(self, hot: HotConnection, shard: int) -> None:
        """Remember nothing yet; the first batch loads the head."""
        self.accounts: dict[str, Account] = {}
        self.presumed = False
        self._hot = hot
        self._shard = shard
        self._head: JournalHead | None = None
        self._not_active: list[str] = []
        self._looks = False
        self._schedules: Mapping[int, FeeSchedule] = {}
        self._fee_accounts: frozenset[str] = frozenset()

    async def recall(self, commands: Sequence[Command]) -> Recalled:
        """Bring in what the decision needs and memory does not hold.

        Raises: HeadMoved when another writer has published fees since, and a hold of that day is asked for.
        """
        if self._head is not None and not self._looks:
            remembered = self._accounts_of_new(commands)
            if remembered is not None:
                self.presumed = True
                return Recalled(self._head, remembered, {}, {}, self._schedules)
        self.presumed = False
        wanted = _accounts_of(leg for command in commands for leg in _legs_of(command)) | self._fee_accounts
        async with self._hot.autocommit() as connection:
            # First the head, by which a write notices whatever is changed after it was read.
            if self._head is None:
                self._head = await load_head(connection, self._shard)
                self._schedules = await load_fee_schedules(connection)
                self._fee_accounts = accounts_of_fees(self._schedules)
                wanted |= self._fee_accounts
            known = await load_transfers(connection, [each for command in commands for each in transfers_of(command)])
            if not _schedules_of(known.values()) <= self._schedules.keys():
                raise HeadMoved
            ids = _ids_of(commands)
            done = await load_commands(connection, ids) if ids else {}
            wanted |= _accounts_of(leg for transfer in known.values() for leg in transfer.legs)
            wanted |= {command.account_id for command in commands if isinstance(command, ChangeAccount)}
            await self._load_accounts(connection, wanted)
        # A hold's resolution and a command nearly always find their transfer; that is no repetition.
        self._looks = any(
            transfer_id in known
            for command in commands
            if isinstance(command, (TransferScreened, TransferBatchScreened))
            for transfer_id in transfers_of(command)
        )
        accounts = {account_id: self.accounts[account_id] for account_id in wanted if account_id in self.accounts}
        return Recalled(self._head, accounts, known, done, self._schedules)

    def _accounts_of_new(self, commands: Sequence[Command]) -> dict[str, Account] | None:
        """Return their accounts; None unless they are new transfers alone, between accounts that are remembered."""
        accounts, found = self.accounts, {}
        try:
            for command in commands:
                if isinstance(command, TransferScreened):  # nearly all of them
                    legs: Sequence[Leg] = command.command.legs
                elif isinstance(command, TransferBatchScreened):
                    legs = _legs_of(command)
                else:
                    return None
                for leg in legs:
                    found[leg.source_account_id] = accounts[leg.source_account_id]
                    found[leg.destination_account_id] = accounts[leg.destination_account_id]
            for account_id in self._fee_accounts:
                found[account_id] = accounts[account_id]
        except KeyError:
            return None
        return found

    async def _load_accounts(self, connection: asyncpg.Connection, wanted: set[str]) -> None:
        unknown: set[str] = set()
        # Again, because an account that was remembered may have been forgotten while others were read.
        while missing := wanted - self.accounts.keys() - unknown:
            loaded = await load_accounts(connection, list(missing))
            self.accounts |= loaded
            self._not_active += [account.account_id for account in loaded.values() if account.status != "active"]
            unknown |= missing - loaded.keys()

    def look_first(self) -> None:
        """Presume nothing of the next batch."""
        self._looks = True

    def remember(self, head: JournalHead, changed: Mapping[str, Account]) -> None:
        """Take the state that a commit made."""
        self._head = head
        self.accounts |= changed

    def keep_active(self) -> None:
        """Remember active accounts alone, and not too many.

        One that refuses everything is never written, so no version would ever tell that it was opened again.
        """
        for account_id in self._not_active:
            self.accounts.pop(account_id, None)
        self._not_active.clear()
        if len(self.accounts) > _CACHED_ACCOUNTS_MAX:
            for account_id in list(self.accounts)[: _CACHED_ACCOUNTS_MAX // 2]:
                del self.accounts[account_id]

    def forget(self) -> None:
        """Read everything again."""
        self.accounts.clear()
        self._not_active.clear()
        self._head = None


def transfers_of(command: Command) -> list[str]:
    """Return the ids of all transfers a command is about; a reversal is one itself."""
    match command:
        case TransferScreened() | HoldResolved():
            return [command.command.transfer_id]
        case TransferBatchScreened():
            return [screening.command.transfer_id for screening in command.screenings]
        case ReverseTransfer():
            return [command.transfer_id, command.command_id]
        case CaptureTransfer() | VoidTransfer() | ExpireHold():
            return [command.transfer_id]
        case BlockedCommand():
            return transfers_of(command.command)
        case ChangeAccount() | PublishFeeSchedule():
            return []


def _schedules_of(transfers: Iterable[Transfer]) -> set[int]:
    return {each.settlement.fee_schedule for each in transfers if each.settlement is not None}


def _legs_of(command: Command) -> Sequence[Leg]:
    """Return the legs a command brings along; of what is known already the ledger has them."""
    if isinstance(command, (TransferScreened, HoldResolved)):
        return command.command.legs
    if isinstance(command, TransferBatchScreened):
        return [leg for screening in command.screenings for leg in screening.command.legs]
    return ()


def _ids_of(commands: Sequence[Command]) -> list[str]:
    asked = [each.command if isinstance(each, BlockedCommand) else each for each in commands]
    return [
        command.command_id
        for command in asked
        if isinstance(command, (CaptureTransfer, VoidTransfer, ChangeAccount, PublishFeeSchedule))
    ]


def _accounts_of(legs: Iterable[Leg]) -> set[str]:
    return {account_id for leg in legs for account_id in (leg.source_account_id, leg.destination_account_id)}
