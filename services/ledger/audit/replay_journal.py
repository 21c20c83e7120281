"""The books made again from the records alone, without the engine: a second opinion has to be made another way."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from libs.common.clock import from_rfc3339
from services.ledger.store.journal_record import AccountRecord, CommandRecord, FeesRecord, RecordLeg, TransferRecord

POSTED: Final = "transfer.posted"
HELD: Final = "transfer.held"
CAPTURED: Final = "transfer.captured"
VOIDED: Final = "transfer.voided"
REVERSED: Final = "transfer.reversed"


class ReplayedAccount:
    """What the records say of one account. `maximum_minor` and `minimum_minor` are None while no record set them."""

    __slots__ = (
        "asset",
        "last_seq",
        "maximum_minor",
        "minimum_minor",
        "pending_in_minor",
        "pending_out_minor",
        "posted_minor",
        "status",
    )

    def __init__(self, asset: str = "") -> None:
        """Begin empty, with what was never changed."""
        self.asset = asset
        self.posted_minor = 0
        self.pending_in_minor = 0
        self.pending_out_minor = 0
        self.last_seq = 0
        self.status = ""
        self.minimum_minor: int | None = None
        self.maximum_minor: int | None = None


class Hold(NamedTuple):
    """A reservation: its legs, and by leg what was captured of it."""

    legs: Sequence[RecordLeg]
    captured_minor: tuple[int, ...]


class Contradiction(NamedTuple):
    """What a record says about sums, and what the records before it make them."""

    at_index: int
    field: str
    stored: str
    computed: str


class ExpectedEntries:
    """Entries as columns, by record and within a record by account and number: as the table is read, too.

    `times` are seconds since 1970, as PostgreSQL's `date_part('epoch', …)` rounds them.
    """

    __slots__ = ("account_ids", "amounts_minor", "balances_minor", "indexes", "seqs", "times", "transfer_ids")

    def __init__(self) -> None:
        """Begin with none."""
        self.indexes: list[int] = []
        self.account_ids: list[str] = []
        self.seqs: list[int] = []
        self.transfer_ids: list[str] = []
        self.amounts_minor: list[int] = []
        self.balances_minor: list[int] = []
        self.times: list[float] = []

    def columns(self) -> tuple[list[int] | list[str] | list[float], ...]:
        """Return the columns in the order in which the table is read."""
        return (
            self.indexes,
            self.account_ids,
            self.seqs,
            self.transfer_ids,
            self.amounts_minor,
            self.balances_minor,
            self.times,
        )


class ReplayJournal:
    """Follows the records in their order. What it has to know of records before the first can be told it.

    Besides the accounts and open holds: `fees_minor` of transfers that were held or reversed, by leg, account and
    whether they were given back; `commands` and `reversals` that must have a row, by id, with their record's index;
    `settled`, the transfers whose settlement is new or changed; `fee_schedules` by version.
    """

    def __init__(self) -> None:
        """Begin with empty books."""
        self.accounts: dict[str, ReplayedAccount] = {}
        self.holds: dict[str, Hold] = {}
        self.contradictions: list[Contradiction] = []
        self.fees_minor: dict[str, dict[tuple[int, str, bool], int]] = {}
        self.commands: dict[str, int] = {}
        self.reversals: dict[str, int] = {}
        self.settled: set[str] = set()
        self.fee_schedules: dict[int, FeesRecord] = {}
        self._time = ""
        self._epoch = 0.0

    def account(self, account_id: str, asset: str = "") -> ReplayedAccount:
        """Return the account's state; a new one at its first record."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = ReplayedAccount(asset)
        elif not account.asset:
            account.asset = asset
        return account

    def follow(self, records: Iterable[object]) -> ExpectedEntries:
        """Take records in and return the entries they made."""
        made = ExpectedEntries()
        for record in records:
            if isinstance(record, TransferRecord):
                kind, legs = record.kind, record.legs
                if kind == POSTED and record.version == 1 and len(legs) == 1 and not record.fees:
                    self._move(made, record, legs[0])  # nearly all of them
                elif kind in {POSTED, CAPTURED}:
                    self._post(made, record)
                else:
                    self._reserve_or_give_back(record)
                if record.version > 1 or record.command_id or kind == HELD:
                    self._note(record)
            else:
                self._follow_other(record)
        return made

    def epoch(self, time: str) -> float:
        """Return a record's time in seconds since 1970."""
        if time != self._time:
            self._time, self._epoch = time, from_rfc3339(time).timestamp()
        return self._epoch

    def _move(self, made: ExpectedEntries, record: TransferRecord, leg: RecordLeg) -> None:
        """Move the only leg: written out, because this is done for nearly every record of a journal."""
        amount_minor, source_id, destination_id = leg.amount_minor, leg.source_account_id, leg.destination_account_id
        accounts = self.accounts
        source = accounts.get(source_id) or self.account(source_id, leg.asset)
        destination = accounts.get(destination_id) or self.account(destination_id, leg.asset)
        source.last_seq = source_seq = source.last_seq + 1
        destination.last_seq = destination_seq = destination.last_seq + 1
        source.posted_minor = source_minor = source.posted_minor - amount_minor
        destination.posted_minor = destination_minor = destination.posted_minor + amount_minor
        if source_id < destination_id:
            made.account_ids += (source_id, destination_id)
            made.seqs += (source_seq, destination_seq)
            made.amounts_minor += (-amount_minor, amount_minor)
            made.balances_minor += (source_minor, destination_minor)
        else:
            made.account_ids += (destination_id, source_id)
            made.seqs += (destination_seq, source_seq)
            made.amounts_minor += (amount_minor, -amount_minor)
            made.balances_minor += (destination_minor, source_minor)
        index, transfer_id = record.index, record.transfer_id
        made.indexes += (index, index)
        made.transfer_ids += (transfer_id, transfer_id)
        epoch = self._epoch if record.time == self._time else self.epoch(record.time)
        made.times += (epoch, epoch)

    def _post(self, made: ExpectedEntries, record: TransferRecord) -> None:
        """Move the legs less their fees; after a hold, give back what it reserved for them, or all of it."""
        if record.version > 1:
            self._leave_hold(record)
        entries: list[tuple[str, int, int, int]] = []
        for position, leg in enumerate(record.legs):
            if not leg.amount_minor:
                continue
            debit_minor = credit_minor = leg.amount_minor
            fees = [fee for fee in record.fees if fee.leg == position]
            for fee in fees:
                if fee.amount_minor > 0:
                    credit_minor -= fee.amount_minor
                else:
                    debit_minor += fee.amount_minor
            entries += self._enter(leg.source_account_id, leg.asset, -debit_minor)
            entries += self._enter(leg.destination_account_id, leg.asset, credit_minor)
            for fee in fees:
                entries += self._enter(fee.account_id, leg.asset, fee.amount_minor)
        entries.sort()
        epoch = self.epoch(record.time)
        for account_id, seq, amount_minor, balance_minor in entries:
            made.indexes.append(record.index)
            made.account_ids.append(account_id)
            made.seqs.append(seq)
            made.transfer_ids.append(record.transfer_id)
            made.amounts_minor.append(amount_minor)
            made.balances_minor.append(balance_minor)
            made.times.append(epoch)

    def _note(self, record: TransferRecord) -> None:
        """Remember which rows beside its own the transfer must have."""
        if record.kind == REVERSED:
            self.settled.add(record.transfer_id)
        elif record.reverses:
            if record.kind == POSTED:
                self.reversals[record.transfer_id] = record.index
                self._keep_fees(record.reverses, record)
        else:
            self.settled.add(record.transfer_id)
            if record.command_id:
                self.commands[record.command_id] = record.index
            self._keep_fees(record.transfer_id, record)

    def _keep_fees(self, transfer_id: str, record: TransferRecord) -> None:
        for fee in record.fees:
            sums = self.fees_minor.setdefault(transfer_id, {})
            key = (fee.leg, fee.account_id, fee.amount_minor < 0)
            sums[key] = sums.get(key, 0) + fee.amount_minor

    def _enter(self, account_id: str, asset: str, amount_minor: int) -> list[tuple[str, int, int, int]]:
        if not amount_minor:
            return []
        account = self.account(account_id, asset)
        account.last_seq += 1
        account.posted_minor += amount_minor
        return [(account_id, account.last_seq, amount_minor, account.posted_minor)]

    def _follow_other(self, record: object) -> None:
        if isinstance(record, CommandRecord | AccountRecord | FeesRecord):
            self.commands[record.command_id] = record.index
        if isinstance(record, FeesRecord):
            self.fee_schedules[record.version] = record
        if isinstance(record, AccountRecord):
            account = self.account(record.account_id)
            account.status = record.account_status
            account.minimum_minor = record.minimum_minor
            account.maximum_minor = record.maximum_minor

    def _reserve_or_give_back(self, record: TransferRecord) -> None:
        if record.kind == HELD and record.version == 1:
            self._hold(record)
        elif record.kind == VOIDED and record.version > 1:
            self._void(record)

    def _hold(self, record: TransferRecord) -> None:
        self.holds[record.transfer_id] = Hold(record.legs, (0,) * len(record.legs))
        for leg in record.legs:
            self._reserve(leg, leg.amount_minor)

    def _leave_hold(self, record: TransferRecord) -> None:
        hold = self.holds.get(record.transfer_id)
        if hold is None:
            self._contradict(record, "version", str(record.version), "1: the records before know no such hold")
            return
        moved = [leg.amount_minor for leg in record.legs] or [0] * len(hold.legs)
        if len(moved) != len(hold.legs):
            self._contradict(record, "legs", str(len(moved)), str(len(hold.legs)))
            moved = (moved + [0] * len(hold.legs))[: len(hold.legs)]
        captured_minor = tuple(map(sum, zip(hold.captured_minor, moved, strict=False)))
        if record.captured_minor and record.captured_minor != captured_minor:
            self._contradict(record, "captured_minor", str(record.captured_minor), str(captured_minor))
        is_over = record.kind == POSTED
        for position, leg in enumerate(hold.legs):
            remaining_minor = leg.amount_minor - hold.captured_minor[position]
            self._reserve(leg, -(remaining_minor if is_over else moved[position]))
        if is_over:
            del self.holds[record.transfer_id]
        else:
            self.holds[record.transfer_id] = Hold(hold.legs, captured_minor)

    def _void(self, record: TransferRecord) -> None:
        hold = self.holds.pop(record.transfer_id, None)
        if hold is None:
            self._contradict(record, "version", str(record.version), "1: the records before know no such hold")
            return
        for leg, captured_minor in zip(hold.legs, hold.captured_minor, strict=True):
            self._reserve(leg, captured_minor - leg.amount_minor)

    def _reserve(self, leg: RecordLeg, amount_minor: int) -> None:
        self.account(leg.source_account_id, leg.asset).pending_out_minor += amount_minor
        self.account(leg.destination_account_id, leg.asset).pending_in_minor += amount_minor

    def _contradict(self, record: TransferRecord, field: str, stored: str, computed: str) -> None:
        self.contradictions.append(Contradiction(record.index, field, stored, computed))
