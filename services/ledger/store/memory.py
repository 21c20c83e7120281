"""What the writer remembers between two batches, so that most of them have nothing to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from libs.common.db.hot import HotConnection
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command, HoldResolved, Leg, TransferBatchScreened, TransferCommand
from services.ledger.domain.transfer import Transfer
from services.ledger.store.accounts import load_accounts
from services.ledger.store.heads import JournalHead, load_head
from services.ledger.store.transfers import load_transfers

_CACHED_ACCOUNTS_MAX: Final = 100_000


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

    async def recall(self, commands: Sequence[Command]) -> tuple[JournalHead, dict[str, Transfer]]:
        """Bring in what the decision needs and memory does not hold. Returns the head and the transfers known."""
        transfers = [transfer for command in commands for transfer in _transfers_of(command)]
        wanted = _accounts_of(leg for transfer in transfers for leg in transfer.legs)
        resolves = any(isinstance(command, HoldResolved) for command in commands)
        if self._head is not None and wanted <= self.accounts.keys() and not (self._looks or resolves):
            self.presumed = True
            return self._head, {}
        self.presumed = False
        async with self._hot.autocommit() as connection:
            # First the head, by which a write notices whatever is changed after it was read.
            if self._head is None:
                self._head = await load_head(connection, self._shard)
            known = await load_transfers(connection, [transfer.transfer_id for transfer in transfers])
            wanted |= _accounts_of(leg for transfer in known.values() for leg in transfer.legs)
            unknown: set[str] = set()
            # Again, because an account that was remembered may have been forgotten while others were read.
            while missing := wanted - self.accounts.keys() - unknown:
                loaded = await load_accounts(connection, list(missing))
                self.accounts |= loaded
                self._not_active += [account.account_id for account in loaded.values() if account.status != "active"]
                unknown |= missing - loaded.keys()
        # A hold's resolution nearly always finds its transfer; that is no repetition.
        self._looks = any(
            transfer.transfer_id in known
            for command in commands
            if not isinstance(command, HoldResolved)
            for transfer in _transfers_of(command)
        )
        return self._head, known

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


def _transfers_of(command: Command) -> Iterator[TransferCommand]:
    if isinstance(command, TransferBatchScreened):
        for screening in command.screenings:
            yield screening.command
    else:
        yield command.command


def _accounts_of(legs: Iterator[Leg]) -> set[str]:
    return {account_id for leg in legs for account_id in (leg.source_account_id, leg.destination_account_id)}
