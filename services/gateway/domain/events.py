"""Events as people and their machines hear them: which there are, who hears which, and what stands in each.

No event has free text, names or anything else about a person: whoever wants more asks for the resource.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID, uuid5

# tidy: allow impure-value-code: events are encoded here once, for streams and for webhooks alike
import msgspec

# tidy: allow impure-value-code: a command's own form says whom it concerns
from libs.common.contracts.transfers import Leg, TransferCommand

# tidy: allow impure-value-code: the one table of sentences, values alone
from libs.common.sentences import failure_reason
from services.gateway.domain.outcomes import SHOWN_TO_PAYEES, Outcome

EventType = Literal[
    "transfer.posted",
    "transfer.held",
    "transfer.captured",
    "transfer.voided",
    "transfer.refused",
    "transfer.blocked",
    "transfer.reversed",
    "account.changed",
    "account.status_changed",
    "verification.changed",
    "webhook.disabled",
    "webhook.test",
]
EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
TEST: Final = "webhook.test"
"""Sent to the one webhook that it tests, whatever that asked for."""

KEPT_FOR: Final = timedelta(days=30)
"""How long an event is kept, and so how far back a stream is resumed and a webhook replayed."""

_IDS: Final = UUID("6f6f7f0e-2a51-5d0b-9c55-0e7a9a0c6b41")
_FAILED: Final = frozenset({"refused", "blocked", "voided"})
_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that happened, for one user. `payload` is the document he gets, byte for byte.

    `event_id` follows from what happened: whatever is told twice has the same. Events of one `resource_id` (a transfer,
    an account, a customer) stay in order. `account_ids` are his own accounts that it is about.
    """

    event_id: str
    user_id: str
    type: str
    resource_id: str
    account_ids: tuple[str, ...]
    occurred_at: str
    payload: bytes


class LegMoved(msgspec.Struct, frozen=True, gc=False):
    """A leg of a transfer, as asked for."""

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str


class TransferHappened(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The state a transfer reached. (`shard`, `journal_index`) is the journal record that proves it.

    `account_ids` are the reader's own accounts in it. Amounts are in minor units, those captured and given back by leg,
    empty where there are none. A reversal names what it `reverses`; its legs are empty while nobody knows its amounts.
    """

    transfer_id: str
    status: str
    version: int
    kind: str
    account_ids: tuple[str, ...]
    legs: tuple[LegMoved, ...]
    code: str
    failure_reason: str
    reasons: tuple[str, ...]
    resolver: str
    expires_at: str
    captured_minor: tuple[int, ...]
    reversed_minor: tuple[int, ...]
    fee_minor: int
    reverses: str
    shard: int
    journal_index: int


class TransferParties(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Whom a transfer concerns, and its legs.

    `owners` says whose the accounts in it are, those of customers. `insider_ids` asked for it or pay: only they learn
    that it was refused or blocked, and those in `facts_ids` the numbers behind that.
    """

    kind: str
    owners: dict[str, str]
    insider_ids: frozenset[str]
    facts_ids: frozenset[str]
    legs: tuple[Leg, ...]
    reverses: str = ""

    def accounts_of(self, user_id: str) -> tuple[str, ...]:
        """Return the user's own accounts in it."""
        return tuple(account_id for account_id, owner_id in self.owners.items() if owner_id == user_id)

    def on_their_way(self) -> dict[str, dict[str, int]]:
        """Return payee → asset → what he is to get, in minor units; without those who asked for it or pay."""
        amounts: dict[str, dict[str, int]] = {}
        for leg in self.legs:
            user_id = leg.destination_owner_id
            if user_id and user_id not in self.insider_ids:
                of_user = amounts.setdefault(user_id, {})
                of_user[leg.asset] = of_user.get(leg.asset, 0) + leg.amount_minor
        return amounts


def parties_of(command: TransferCommand) -> TransferParties:
    """Return whom a command concerns."""
    payer_id = "" if command.payer is None else command.payer.user_id
    owners = {leg.destination_account_id: leg.destination_owner_id for leg in command.legs}
    owners |= {leg.source_account_id: payer_id for leg in command.legs}
    insider_ids = frozenset((command.actor_id, payer_id)) - {""}
    return TransferParties(
        kind=command.kind,
        owners={account_id: owner_id for account_id, owner_id in owners.items() if owner_id},
        insider_ids=insider_ids,
        facts_ids=insider_ids,
        legs=command.legs,
    )


def parties_of_reversal(
    original: TransferParties, *, actor_id: str, reverses: str, amounts_minor: Sequence[int]
) -> TransferParties:
    """Return whom a reversal concerns: the same as its original, and who asked for it; it moves the other way.

    `amounts_minor` is what it gives back by leg, empty while nobody knows.
    """
    return TransferParties(
        kind="reversal",
        owners=original.owners,
        insider_ids=frozenset((actor_id,)),
        facts_ids=frozenset(),
        legs=tuple(
            Leg(leg.destination_account_id, leg.source_account_id, amount_minor, leg.asset, "")
            for leg, amount_minor in zip(original.legs, amounts_minor, strict=False)
            if amount_minor
        ),
        reverses=reverses,
    )


def transfer_events(
    outcome: Outcome, parties: TransferParties, *, shard: int, listeners: Callable[[str], bool]
) -> Iterator[Event]:
    """Return what this state of a transfer is to each party that listens.

    That a payer was refused or blocked is not for those he would have paid.
    """
    kind = transfer_event_type(outcome)
    event_id = _id_of("transfer", shard, outcome.journal_index, outcome.transfer_id)
    heard_by = parties.insider_ids.union(parties.owners.values() if outcome.status in SHOWN_TO_PAYEES else ())
    for user_id in sorted(filter(listeners, heard_by)):
        account_ids = parties.accounts_of(user_id)
        data = _transfer_data(outcome, parties, account_ids, shard=shard, knows_facts=user_id in parties.facts_ids)
        yield _event(event_id, user_id, kind, outcome.transfer_id, account_ids, outcome.occurred_at, data)


def transfer_event_type(outcome: Outcome) -> str:
    """Return what happened, from the state a transfer reached."""
    if outcome.status == "posted" and any(outcome.settlement.reversed_minor):
        return "transfer.reversed"
    if outcome.status == "held" and any(outcome.settlement.captured_minor):
        return "transfer.captured"
    return f"transfer.{outcome.status}"


def _transfer_data(
    outcome: Outcome, parties: TransferParties, account_ids: tuple[str, ...], *, shard: int, knows_facts: bool
) -> TransferHappened:
    settlement, legs = outcome.settlement, parties.legs
    facts, failed = outcome.facts if knows_facts else {}, outcome.status in _FAILED
    return TransferHappened(
        transfer_id=outcome.transfer_id,
        status=outcome.status,
        version=outcome.version,
        kind=parties.kind,
        account_ids=account_ids,
        legs=tuple(
            LegMoved(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset) for leg in legs
        ),
        code=outcome.code,
        failure_reason=failure_reason(outcome.code, facts, {leg.asset for leg in legs}) if failed else "",
        reasons=outcome.reasons,
        resolver=settlement.resolver,
        expires_at=settlement.expires_at,
        captured_minor=settlement.captured_minor,
        reversed_minor=settlement.reversed_minor,
        fee_minor=settlement.fee_minor,
        reverses=parties.reverses,
        shard=shard,
        journal_index=outcome.journal_index,
    )


def account_changed_event(*, owner_id: str, data: dict[str, Any], occurred_at: str) -> Event:
    """Return that accounts has another state of an account; `data` has `account_id` and `version`."""
    account_id = data["account_id"]
    event_id = _id_of("account", account_id, data["version"])
    return _event(event_id, owner_id, "account.changed", account_id, (account_id,), occurred_at, data)


def account_status_event(*, owner_id: str, data: dict[str, Any], occurred_at: str) -> Event:
    """Return that staff changed what an account may do; `data` names the journal record."""
    account_id = data["account_id"]
    event_id = _id_of("account-status", data["shard"], data["journal_index"], account_id)
    return _event(event_id, owner_id, "account.status_changed", account_id, (account_id,), occurred_at, data)


def verification_event(*, user_id: str, data: dict[str, Any], occurred_at: str) -> Event:
    """Return that a customer's verification has another state; `data` has its `version`."""
    event_id = _id_of("verification", user_id, data["version"])
    return _event(event_id, user_id, "verification.changed", user_id, (), occurred_at, data)


def webhook_disabled_event(*, user_id: str, webhook_id: str, because: str, occurred_at: str) -> Event:
    """Return that nothing is sent to a webhook any more."""
    event_id = _id_of("webhook-disabled", webhook_id, occurred_at)
    data = {"webhook_id": webhook_id, "because": because}
    return _event(event_id, user_id, "webhook.disabled", webhook_id, (), occurred_at, data)


def webhook_test_event(event_id: str, *, user_id: str, webhook_id: str, occurred_at: str) -> Event:
    """Return what tests a webhook; each test is another event."""
    return _event(event_id, user_id, TEST, webhook_id, (), occurred_at, {"webhook_id": webhook_id})


def _id_of(*parts: object) -> str:
    return str(uuid5(_IDS, "/".join(str(part) for part in parts)))


def _event(
    event_id: str,
    user_id: str,
    kind: str,
    resource_id: str,
    account_ids: Sequence[str],
    occurred_at: str,
    data: object,
) -> Event:
    payload = _encode({"id": event_id, "type": kind, "timestamp": occurred_at, "data": data})
    return Event(
        event_id=event_id,
        user_id=user_id,
        type=kind,
        resource_id=resource_id,
        account_ids=tuple(account_ids),
        occurred_at=occurred_at,
        payload=payload,
    )
