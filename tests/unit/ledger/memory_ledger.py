"""A ledger without a database: what is committed, and writers whose word counts only if nobody moved anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from services.ledger.domain.account import SYSTEM_OWNER, Account
from services.ledger.domain.commands import (
    Command,
    TransferBatchScreened,
    TransferScreened,
)
from services.ledger.domain.engine import decide
from services.ledger.domain.fees import NO_FEES, FeeSchedule
from services.ledger.domain.run import Answer, Change, CommandAnswer, Decisions, posted_at_once, provenance_of
from services.ledger.domain.system_accounts import FEES, RESERVE, TREASURY, system_accounts_of
from services.ledger.domain.transfer import Settlement, Transfer
from services.ledger.store.memory import transfers_of
from tests.support.ledger_builders import NOW, id_of


@dataclass
class Ledger:
    """What is committed, checked from the outside at each commit."""

    accounts: dict[str, Account]
    transfers: dict[str, Transfer] = field(default_factory=dict)
    commands: dict[str, CommandAnswer] = field(default_factory=dict)
    schedules: dict[int, FeeSchedule] = field(default_factory=lambda: {0: NO_FEES})
    size: int = 0
    entry_sums: dict[tuple[str, str], int] = field(default_factory=dict)
    """(transfer, account) → the sum of its entries."""

    def commit(self, decisions: Decisions) -> None:
        """Take what was decided. Each promise that the database would hold is asserted."""
        self._check_entries(decisions)
        assert [change.state.journal_index for change in decisions.changes] == list(
            range(self.size, self.size + len(decisions.changes))
        ), "a gap in the journal"
        assert not decisions.inserted.keys() & self.transfers.keys(), "a transfer inserted twice"
        assert decisions.updated.keys() <= self.transfers.keys(), "an update of what is not there"
        assert not {answer.command_id for answer in decisions.commands} & self.commands.keys(), "a command done twice"
        for account_id, changed in decisions.books.changed.items():
            assert changed.version > self.accounts[account_id].version, "a change nobody could notice"
        self.accounts |= decisions.books.changed
        self.transfers |= {key: _stored(each, decisions.changes) for key, each in decisions.inserted.items()}
        self.transfers |= decisions.updated
        self.commands |= {answer.command_id: answer for answer in decisions.commands}
        if decisions.published is not None:
            self.schedules[decisions.published.schedule.version] = decisions.published.schedule
        self.size += len(decisions.changes)

    def _check_entries(self, decisions: Decisions) -> None:
        states = {key: replace(each) for key, each in self.accounts.items()}
        for account_id, seq, transfer_id, _, amount_minor, balance_minor in decisions.books.entries:
            state = states[account_id]
            assert amount_minor != 0, "an entry of nothing"
            assert seq == state.last_seq + 1, "a gap in seq"
            assert balance_minor == state.posted_minor + amount_minor, "a balance that is not the sum of its entries"
            state.last_seq, state.posted_minor = seq, balance_minor
            key = (transfer_id, account_id)
            self.entry_sums[key] = self.entry_sums.get(key, 0) + amount_minor
        for account_id, changed in decisions.books.changed.items():
            assert (changed.last_seq, changed.posted_minor) == (
                states[account_id].last_seq,
                states[account_id].posted_minor,
            ), "a balance without its entry"


class Writer:
    """Decides on what it remembers, as `PostTransfers` does: is it out of date, it reads again and decides again."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = NOW
        self._ledger = ledger
        self._size = ledger.size
        self._accounts = dict(ledger.accounts)
        self._schedules = dict(ledger.schedules)

    def write(self, commands: Sequence[Command]) -> list[Answer]:
        """Commit what the commands do; return what is answered."""
        decisions = self._decide(commands)
        if self._size != self._ledger.size:
            self._read()
            decisions = self._decide(commands)
        self._ledger.commit(decisions)
        self._accounts |= decisions.books.changed
        self._size = self._ledger.size
        if decisions.published is not None:
            self._read()
        return decisions.answers

    def _read(self) -> None:
        self._accounts, self._size = dict(self._ledger.accounts), self._ledger.size
        self._schedules = dict(self._ledger.schedules)

    def _decide(self, commands: Sequence[Command]) -> Decisions:
        ledger = self._ledger
        if all(isinstance(command, (TransferScreened, TransferBatchScreened)) for command in commands):
            # Presume that all are new; the primary key would refuse what is not.
            decisions = self._run(commands, {}, {})
            if not decisions.inserted.keys() & ledger.transfers.keys():
                return decisions
        ids = {transfer_id for command in commands for transfer_id in transfers_of(command)}
        known = {key: replace(each) for key, each in ledger.transfers.items() if key in ids}
        if any(each.settlement and each.settlement.fee_schedule not in self._schedules for each in known.values()):
            self._read()  # another writer has published fees since
        return self._run(commands, known, dict(ledger.commands))

    def _run(
        self, commands: Sequence[Command], known: dict[str, Transfer], done: dict[str, CommandAnswer]
    ) -> Decisions:
        given = {key: replace(each) for key, each in self._accounts.items()}, dict(known), dict(done)
        decisions = decide(
            commands,
            accounts=self._accounts,
            known=known,
            done=done,
            schedules=self._schedules,
            first_index=self._size,
            now=self.now,
        )
        assert (self._accounts, known, done) == given, "what was given was changed"
        return decisions


class Books:
    """A ledger with one writer, for stories of a few commands."""

    def __init__(self, *accounts: Account) -> None:
        self.ledger = Ledger({each.account_id: each for each in accounts})
        self._writer = Writer(self.ledger)

    def write(self, *commands: Command, now: str = NOW) -> list[Answer]:
        """Commit the commands together; return what is answered."""
        self._writer.now = now
        return self._writer.write(commands)

    def put(self, account: Account) -> None:
        """Put an account into another state than commands would bring it to."""
        self.ledger.accounts[account.account_id] = account
        self._writer = Writer(self.ledger)

    def posted(self, name: str) -> int:
        """Return a balance, of an account by its builder's name or of the house by its id."""
        accounts = self.ledger.accounts
        return (accounts.get(name) or accounts[id_of(name)]).posted_minor

    def transfer(self, name: str) -> Transfer:
        """Return a transfer as it is committed."""
        return self.ledger.transfers[id_of(name)]

    def settlement(self, name: str) -> Settlement:
        """Return how far a transfer is settled."""
        settlement = self.transfer(name).settlement
        assert settlement is not None
        return settlement


def house(asset: str) -> list[Account]:
    """Return the house's accounts that take part in postings, empty."""
    return [
        Account(each.account_id, SYSTEM_OWNER, asset, "active", 0, 0, 0, each.minimum_minor, 0, 1)
        for each in system_accounts_of(asset)
        if each.account_number in {RESERVE, TREASURY, FEES}
    ]


def _stored(transfer: Transfer, changes: Sequence[Change]) -> Transfer:
    """Return the transfer as it is read again: how far it is settled is known from its record."""
    if transfer.settlement is not None or transfer.status != "posted":
        return transfer
    (change,) = [each for each in changes if each.state is transfer]
    settlement = posted_at_once(
        transfer.legs,
        index=transfer.journal_index,
        fee_schedule=change.fee_schedule,
        fees=change.fees,
        provenance=provenance_of(change.source),
    )
    return replace(transfer, settlement=settlement)
