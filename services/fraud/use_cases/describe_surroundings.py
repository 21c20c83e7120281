"""What is known around the transfers of one unit of work, and what each of them adds to it for those after it."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from libs.common.contracts.transfers import TransferCommand
from services.fraud.domain.activity import Activity
from services.fraud.domain.features import Around, Side, Value, values_of
from services.fraud.domain.moments import all_to_us, from_us, us_or_zero
from services.fraud.domain.payer import Payer
from services.fraud.store.activity import NewActivity
from services.fraud.store.activity_cache import Key, Subjects
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


class Surroundings:
    """Answers with features, and counts what was decided. Memory moves at once: take it back if the work fails."""

    def __init__(self, subjects: Mapping[Key, Activity], customers: Mapping[str, Customer]) -> None:
        """Take the activity of everybody who occurs, and the rows of those who are paid."""
        self.rows: list[NewActivity] = []
        self._subjects = subjects
        self._customers = customers
        self._counted: list[tuple[Activity, str, int, bool]] = []

    def describe(self, sent: Sent) -> Described:
        """Return what is known around a transfer, before it is counted."""
        command, payer, find = sent.command, sent.payer, self._subjects.get
        sender = Side(
            payer.user_id, sent.payer_tier, payer.account_since_us, payer.kyc_since_us, payer.documents_shared_us
        )
        sending = find((0, payer.user_id), _UNKNOWN)
        address, device = find((2, command.address_key)), find((3, command.device_key))
        described = Described([], [], [] if sending is _UNKNOWN else [sending.as_of_us])
        for user_id, tier, _ in sent.payees or _TO_NOBODY:
            receiving = find((1, user_id))
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

    def count(self, sent: Sent, described: Described, shares_minor: Sequence[int], *, blocked: bool) -> None:
        """Count a transfer for whatever is decided after it, as a payment to each receiver of his share."""
        command, payer_id, at_us = sent.command, sent.payer.user_id, sent.decided_us
        decided_at, counted = from_us(at_us), self._counted
        for around, share_minor, (user_id, _, _) in zip(
            described.around, shares_minor, sent.payees or _TO_NOBODY, strict=True
        ):
            self.rows.append(
                NewActivity(
                    decided_at,
                    payer_id,
                    user_id or None,
                    command.address_key,
                    command.device_key,
                    share_minor,
                    blocked,
                )
            )
            if around.sender is not _UNKNOWN:
                before_us = around.sender.count(at_us, share_minor, user_id, blocked)
                counted.append((around.sender, user_id, before_us, blocked))
            for activity in (around.receiver, around.address, around.device):
                if activity is not None:
                    counted.append((activity, payer_id, activity.count(at_us, share_minor, payer_id, blocked), blocked))

    @property
    def keys(self) -> Iterable[Key]:
        """Return all whose memory may have moved."""
        return self._subjects

    def mark(self) -> tuple[int, int]:
        """Return where `take_back` returns to."""
        return len(self.rows), len(self._counted)

    def take_back(self, mark: tuple[int, int] = (0, 0)) -> None:
        """Undo what was counted since; everything by default."""
        del self.rows[mark[0] :]
        while len(self._counted) > mark[1]:
            activity, other, before_us, blocked = self._counted.pop()
            activity.uncount(other, before_us, blocked=blocked)

    def _side(self, user_id: str, tier: int) -> Side:
        row = self._customers.get(user_id)
        if row is None:
            return Side(user_id, tier)
        shared_us = all_to_us(row.documents_shared_at)
        return Side(user_id, tier, us_or_zero(row.account_since), us_or_zero(row.kyc_since), shared_us)
