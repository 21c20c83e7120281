"""What is known around the transfers of one unit of work, and what each of them adds to it for those after it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from libs.common.contracts.transfers import TransferCommand
from services.fraud.domain.activity import Activity
from services.fraud.domain.features import Around, Side, Value, values_of
from services.fraud.domain.moments import all_to_us, us_or_zero
from services.fraud.domain.payer import Payer
from services.fraud.store.activity import NewActivity
from services.fraud.store.activity_cache import Known, Subjects
from services.fraud.store.users import Customer

_BUSINESS = "business"
_TO_NOBODY = (("", 0, 0),)
_UNKNOWN = Activity(0)


class Sent(msgspec.Struct, frozen=True, gc=False):
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


class Described(msgspec.Struct, frozen=True, gc=False):
    """What is known around a transfer, for each receiver in order; for nobody where none is known."""

    around: list[Around]
    values: list[list[Value]]
    """The features, in the order of the catalogue."""
    as_of: list[int]
    """As of when sender, receivers, address and device are known, µs since 1970 UTC."""


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A payment that was counted, and what each of its subjects wants to know to take it back."""

    around: Around
    payer_id: str
    payee_id: str
    blocked: bool
    by_sender: int
    by_receiver: int
    by_address: int
    by_device: int


class Surroundings:
    """Answers with features, and counts what was decided. Memory moves at once: take it back if the work fails."""

    def __init__(self, known: Known, customers: Mapping[str, Customer]) -> None:
        """Take the activity of everybody who occurs, and the rows of those who are paid."""
        self.rows: list[NewActivity] = []
        self.known = known
        """All whose memory may have moved."""
        self._payers, self._payees, self._addresses, self._devices = known
        self._customers = customers
        self._counted: list[Counted] = []

    def describe(self, sent: Sent) -> Described:
        """Return what is known around a transfer, before it is counted."""
        command, payer = sent.command, sent.payer
        sender = Side(
            payer.user_id, sent.payer_tier, payer.account_since_us, payer.kyc_since_us, payer.documents_shared_us
        )
        sending = self._payers.get(payer.user_id, _UNKNOWN)
        address, device = self._addresses.get(command.address_key), self._devices.get(command.device_key)
        described = Described([], [], [] if sending is _UNKNOWN else [sending.as_of_us])
        for user_id, tier, _ in sent.payees or _TO_NOBODY:
            receiving = self._payees.get(user_id)
            around = Around(sending, receiving, address, device, payer.window)
            described.around.append(around)
            described.values.append(
                values_of(
                    usd_minor=sent.usd_minor,
                    legs=len(command.legs),
                    hold_seconds=command.hold_seconds,
                    now_us=sent.decided_us,
                    sender=sender,
                    receiver=self._side(user_id, tier),
                    is_business=payer.profile == _BUSINESS,
                    around=around,
                )
            )
            if receiving is not None:
                described.as_of.append(receiving.as_of_us)
        if address is not None:
            described.as_of.append(address.as_of_us)
        if device is not None:
            described.as_of.append(device.as_of_us)
        return described

    def count(
        self, sent: Sent, described: Described, shares_minor: Sequence[int], *, decided_at: datetime, blocked: bool
    ) -> None:
        """Count a transfer for whatever is decided after it, as a payment to each receiver of his share."""
        command, payer_id, at_us = sent.command, sent.payer.user_id, sent.decided_us
        address_key, device_key = command.address_key, command.device_key
        for around, share_minor, (user_id, _, _) in zip(
            described.around, shares_minor, sent.payees or _TO_NOBODY, strict=True
        ):
            self.rows.append(
                NewActivity(decided_at, payer_id, user_id or None, address_key, device_key, share_minor, blocked)
            )
            sender, receiver, address, device = around.sender, around.receiver, around.address, around.device
            self._counted.append(
                Counted(
                    around,
                    payer_id,
                    user_id,
                    blocked,
                    0 if sender is _UNKNOWN else sender.count(at_us, share_minor, user_id, blocked),
                    0 if receiver is None else receiver.count(at_us, share_minor, payer_id, blocked),
                    0 if address is None else address.count(at_us, share_minor, payer_id, blocked),
                    0 if device is None else device.count(at_us, share_minor, payer_id, blocked),
                )
            )

    def mark(self) -> tuple[int, int]:
        """Return where `take_back` returns to."""
        return len(self.rows), len(self._counted)

    def take_back(self, mark: tuple[int, int] = (0, 0)) -> None:
        """Undo what was counted since; everything by default."""
        del self.rows[mark[0] :]
        while len(self._counted) > mark[1]:
            one = self._counted.pop()
            around, payer_id, blocked = one.around, one.payer_id, one.blocked
            if around.sender is not _UNKNOWN:
                around.sender.uncount(one.payee_id, one.by_sender, blocked=blocked)
            if around.receiver is not None:
                around.receiver.uncount(payer_id, one.by_receiver, blocked=blocked)
            if around.address is not None:
                around.address.uncount(payer_id, one.by_address, blocked=blocked)
            if around.device is not None:
                around.device.uncount(payer_id, one.by_device, blocked=blocked)

    def _side(self, user_id: str, tier: int) -> Side:
        row = self._customers.get(user_id)
        if row is None:
            return Side(user_id, tier)
        shared_us = all_to_us(row.documents_shared_at)
        return Side(user_id, tier, us_or_zero(row.account_since), us_or_zero(row.kyc_since), shared_us)
