"""What is known around the transfers of one unit of work, and what each of them adds to it for those after it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from libs.common.contracts.transfers import Party, TransferCommand
from services.fraud.domain.activity import Activity, Event
from services.fraud.domain.features import Around, Side, Value, values_of
from services.fraud.domain.moments import from_us, us_or_zero
from services.fraud.domain.payer import Payer
from services.fraud.store.activity import NewActivity
from services.fraud.store.activity_cache import Key, Subjects
from services.fraud.store.users import Customer

_BUSINESS = "business"
_NOBODY = Party("", 0, 0)
_UNKNOWN = Activity(0)


class Sent(NamedTuple):
    """A transfer as rules see it: who sends it, at which tier, what it is worth, and when it is decided."""

    command: TransferCommand
    payer: Payer
    payer_tier: int
    payees: Sequence[tuple[str, int, int]]
    """User id, KYC tier, KYC version."""
    usd_minor: int
    decided_us: int


def subjects_of(commands: Iterable[TransferCommand], owners: Mapping[str, str]) -> Subjects:
    """Return the payers, payees, addresses and devices of customers' transfers, each once.

    `owners` are those found for accounts that the gateway did not know; they are payees as well.
    """
    payers: dict[str | int, None] = {}
    payees: dict[str | int, None] = dict.fromkeys(owners.values())
    addresses: dict[str | int, None] = {}
    devices: dict[str | int, None] = {}
    for command in commands:
        if command.kind != "transfer" or command.payer is None:
            continue
        payers[command.payer.user_id] = None
        for party in command.payees:
            payees[party.user_id] = None
        if command.address_key:
            addresses[command.address_key] = None
        if command.device_key:
            devices[command.device_key] = None
    return payers, payees, addresses, devices


class Surroundings:
    """Answers with features, and counts what was decided. Memory moves at once: take it back if the work fails."""

    def __init__(self, subjects: Mapping[Key, Activity], customers: Mapping[str, Customer]) -> None:
        """Take the activity of everybody who occurs, and the rows of those who are paid."""
        self.rows: list[NewActivity] = []
        self._subjects = subjects
        self._customers = customers
        self._added: list[tuple[Activity, Event, int]] = []

    def values_of(self, sent: Sent) -> list[list[Value]]:
        """Return the features of a transfer, for each receiver in order; for nobody where none is known."""
        command, payer = sent.command, sent.payer
        sender = Side(payer.user_id, sent.payer_tier, payer.account_since_us, payer.kyc_since_us)
        return [
            values_of(
                usd_minor=sent.usd_minor,
                legs=len(command.legs),
                hold_seconds=command.hold_seconds,
                now_us=sent.decided_us,
                sender=sender,
                receiver=self._side(user_id, tier),
                is_business=payer.profile == _BUSINESS,
                around=Around(
                    sender=self._subjects.get((0, payer.user_id), _UNKNOWN),
                    receiver=self._subjects.get((1, user_id)),
                    address=self._subjects.get((2, command.address_key)),
                    device=self._subjects.get((3, command.device_key)),
                    window=payer.window,
                ),
            )
            for user_id, tier, _ in sent.payees or ((_NOBODY.user_id, _NOBODY.kyc_tier, 0),)
        ]

    def as_of(self, sent: Sent) -> list[int]:
        """Return as of when sender, receivers, address and device are known, µs since 1970 UTC."""
        command = sent.command
        keys: list[Key] = [(0, sent.payer.user_id), *((1, user_id) for user_id, _, _ in sent.payees)]
        keys += [(2, command.address_key), (3, command.device_key)]
        return [activity.as_of_us for key in keys if (activity := self._subjects.get(key)) is not None]

    def count(self, sent: Sent, shares_minor: Sequence[int], *, blocked: bool) -> None:
        """Count a transfer for whatever is decided after it, as a payment to each receiver of his share."""
        command, payer_id = sent.command, sent.payer.user_id
        decided_at: datetime = from_us(sent.decided_us)
        payees: Sequence[str | None] = [user_id for user_id, _, _ in sent.payees] or [None]
        for payee_id, share_minor in zip(payees, shares_minor, strict=True):
            self.rows.append(
                NewActivity(
                    decided_at,
                    payer_id,
                    payee_id,
                    command.address_key,
                    command.device_key,
                    share_minor,
                    blocked,
                )
            )
            self._add((0, payer_id), sent.decided_us, share_minor, payee_id or "", blocked=blocked)
            if payee_id is not None:
                self._add((1, payee_id), sent.decided_us, share_minor, payer_id, blocked=blocked)
            if command.address_key:
                self._add((2, command.address_key), sent.decided_us, share_minor, payer_id, blocked=blocked)
            if command.device_key:
                self._add((3, command.device_key), sent.decided_us, share_minor, payer_id, blocked=blocked)

    @property
    def keys(self) -> Iterable[Key]:
        """Return all whose memory may have moved."""
        return self._subjects

    def mark(self) -> tuple[int, int]:
        """Return where `take_back` returns to."""
        return len(self.rows), len(self._added)

    def take_back(self, mark: tuple[int, int] = (0, 0)) -> None:
        """Undo what was counted since; everything by default."""
        del self.rows[mark[0] :]
        while len(self._added) > mark[1]:
            activity, event, before_us = self._added.pop()
            activity.take_back(event, before_us)

    def _add(self, key: Key, at_us: int, usd_minor: int, other: str, *, blocked: bool) -> None:
        activity = self._subjects.get(key)
        if activity is not None:
            event = Event(activity.moment(at_us), usd_minor, other, blocked)
            self._added.append((activity, event, activity.add(event)))

    def _side(self, user_id: str, tier: int) -> Side:
        row = self._customers.get(user_id)
        if row is None:
            return Side(user_id, tier)
        return Side(user_id, tier, us_or_zero(row.account_since), us_or_zero(row.kyc_since))
