"""Transfers as they are kept: what was asked, by whom, and the newest state; reversals are transfers too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec

from libs.common.contracts.gateway import ReverseTransfer
from libs.common.contracts.transfers import Leg, TransferCommand
from libs.common.db.hot import HotConnection
from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.store.commands import StoredCommand, find_reversal
from services.gateway.store.later_states import load_first_final_state, load_newest_state, load_reversed_by
from services.gateway.store.transfers import load_outcomes
from services.gateway.views.transfers import read_command, render_transfer

_SELECT: Final = "SELECT t.command, t.memo FROM gateway.transfers t WHERE t.transfer_id = $1::uuid"
_decode_reversal = msgspec.json.Decoder(ReverseTransfer).decode

REVERSAL: Final = "reversal"


@dataclass(frozen=True, slots=True)
class KnownTransfer:
    """A transfer with its newest outcome known.

    `owner_ids` are those whose money it moves, as far as they were known when it was asked for: who pays, who is paid.
    `party_ids` are those who may see it: they, and who asked for it; `facts_ids` those of them who
    may know the numbers behind a refusal, since they are their own; of a reversal they are the payee's or the house's.
    `settled_at` is when a hold ended, if a later state than that is shown. `reverses` is a reversal's original.
    """

    transfer_id: str
    kind: str
    asker_id: str
    owner_ids: frozenset[str]
    party_ids: frozenset[str]
    facts_ids: frozenset[str]
    legs: tuple[Leg, ...]
    memo: bytes | None
    accepted_at: str
    outcome: Outcome
    settled_at: str = ""
    reverses: str = ""

    def render(self, outcome: Outcome | None = None, *, knows_facts: bool = False) -> bytes:
        """Encode it in its newest state, or in this one: then what came after it does not show.

        `knows_facts` tells whether the reader may see the numbers behind a refusal.
        """
        return render_transfer(
            outcome or self.outcome,
            self.kind,
            self.legs,
            self.memo,
            self.accepted_at,
            settled_at="" if outcome else self.settled_at,
            reverses=self.reverses,
            knows_facts=knows_facts,
        )


async def find_transfer(
    connection: HotConnection, transfer_id: str, newest: Callable[[Outcome], Outcome] | None = None
) -> KnownTransfer | None:
    """Return a transfer or a reversal. Raises: Unavailable.

    `newest` knows what somebody was told of an outcome before it was kept: a reversal's amounts come with it.
    """
    async with connection.autocommit() as database:
        row: asyncpg.Record | None = await database.fetchrow(_SELECT, transfer_id)
        if row is not None:
            return await _known(database, read_command(row[0]), row[1])
        reversal = await find_reversal(database, transfer_id)
        if reversal is None:
            return None
        reversal.outcome = reversal.outcome if newest is None else newest(reversal.outcome)
        row = await database.fetchrow(_SELECT, reversal.subject_id)
        original = await _known(database, read_command(row[0]), None)
        amounts_minor = await amounts_of(database, reversal)
    return reversal_of(original, reversal, amounts_minor or ())


async def _known(database: asyncpg.Connection, command: TransferCommand, memo: bytes | None) -> KnownTransfer:
    outcomes = await load_outcomes(database, [command.transfer_id])
    outcome = outcomes[0] if outcomes else accepted(command.transfer_id)
    newest, settled_at = outcome, ""
    if outcome.version > 0 and (later := await load_newest_state(database, command.transfer_id)) is not None:
        newest = later if later.version > outcome.version else outcome
        settling = outcome if outcome.is_final() else await load_first_final_state(database, command.transfer_id)
        settled_at = "" if settling is None else settling.occurred_at
    payer = () if command.payer is None else (command.payer.user_id,)
    owner_ids = frozenset((*payer, *(payee.user_id for payee in command.payees)))
    return KnownTransfer(
        transfer_id=command.transfer_id,
        kind=command.kind,
        asker_id=command.actor_id,
        owner_ids=owner_ids,
        party_ids=owner_ids | {command.actor_id},
        facts_ids=frozenset((command.actor_id, *payer)),
        legs=command.legs,
        memo=memo,
        accepted_at=command.requested_at,
        outcome=newest,
        settled_at=settled_at,
    )


async def amounts_of(database: asyncpg.Connection, reversal: StoredCommand) -> tuple[int, ...] | None:
    """Return what a reversal gives back of each leg; None while the ledger has not said what "all that is left" is."""
    asked_minor = _decode_reversal(reversal.message).amounts_minor
    if asked_minor or reversal.outcome.status != "posted":
        return asked_minor or None
    outcome = reversal.outcome
    if outcome.settlement.gave_back_minor:
        return outcome.settlement.gave_back_minor
    return await load_reversed_by(database, reversal.subject_id, outcome.journal_index)


def reversal_of(original: KnownTransfer, reversal: StoredCommand, amounts_minor: tuple[int, ...]) -> KnownTransfer:
    """Return a reversal as the transfer it is: the original's legs the other way, those that give something back.

    `amounts_minor` is by leg of the original, empty while it is not known.
    """
    command = _decode_reversal(reversal.message)
    return KnownTransfer(
        transfer_id=reversal.command_id,
        kind=REVERSAL,
        asker_id=command.actor_id,
        owner_ids=original.owner_ids,
        party_ids=original.party_ids | {command.actor_id},
        facts_ids=frozenset(),
        legs=tuple(_backwards(*pair) for pair in zip(original.legs, amounts_minor, strict=False) if pair[1]),
        memo=reversal.memo,
        accepted_at=command.requested_at,
        outcome=reversal.outcome,
        reverses=command.transfer_id,
    )


def _backwards(leg: Leg, amount_minor: int) -> Leg:
    return Leg(leg.destination_account_id, leg.source_account_id, amount_minor, leg.asset, "")
