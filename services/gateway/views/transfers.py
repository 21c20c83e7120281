"""Transfers as they are shown: the same document at the first answer, at a replay, and when asked for."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from libs.common.contracts.transfers import Leg, TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.sentences import detail_of, failure_reason
from services.gateway.domain.outcomes import Outcome
from services.gateway.store.transfers import find_by_keys


class LegView(msgspec.Struct, frozen=True, gc=False):
    """One leg, as asked for."""

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str


class TransferView(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A transfer. Absent members are empty: no code, no reasons, no text, not settled yet, never held, no fee.

    `resolver` says who ends a hold: `caller` or `fraud`; a caller's ends by itself at `expires_at`. `captured_minor` is
    what a hold has posted so far, `reversed_minor` what was given back: a number, or a list by leg where there are
    several. `fee_minor` was withheld from the payees. `reverses` names the transfer that a reversal gives back.
    `failure_reason` is the code in a sentence, with the payer's own numbers for himself and staff. `attempts` is how
    many tries it took the ledger to decide this state: 1, or more after a conflict or a lost connection.
    """

    transfer_id: str
    status: str
    version: int
    kind: str
    legs: tuple[LegView, ...]
    accepted_at: str
    settled_at: str = ""
    code: str = ""
    failure_reason: str = ""
    reasons: tuple[str, ...] = ()
    resolver: str = ""
    expires_at: str = ""
    captured_minor: int | tuple[int, ...] | None = None
    reversed_minor: int | tuple[int, ...] | None = None
    fee_minor: int = 0
    reverses: str = ""
    attempts: int = 0
    memo: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_FAILED: Final = frozenset({"refused", "blocked", "voided"})
_encode = msgspec.json.Encoder().encode
_decode_command = msgspec.json.Decoder(TransferCommand).decode


class DryRunView(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What would become of a transfer if it were asked for now. Nothing was kept, moved or counted against limits.

    `code` and `facts` say why it would be refused, blocked or held; `fee_minor` is what would be withheld.
    """

    dry_run: Literal[True]
    status: str
    code: str = ""
    detail: str = ""
    facts: dict[str, int | str] = {}
    reasons: tuple[str, ...] = ()
    resolver: str = ""
    expires_at: str = ""
    fee_minor: int = 0


def render_dry_run(outcome: Outcome) -> bytes:
    """Encode what would become of a transfer."""
    settlement = outcome.settlement
    return _encode(
        DryRunView(
            dry_run=True,
            status=outcome.status,
            code=outcome.code,
            detail=detail_of(outcome.code) if outcome.code else "",
            facts=outcome.facts,
            reasons=outcome.reasons,
            resolver=settlement.resolver,
            expires_at=settlement.expires_at,
            fee_minor=settlement.fee_minor,
        )
    )


def render_transfer(
    outcome: Outcome,
    kind: str,
    legs: Sequence[Leg],
    memo: bytes | None,
    accepted_at: str,
    *,
    settled_at: str = "",
    reverses: str = "",
    knows_facts: bool = False,
) -> bytes:
    """Encode a transfer's document; `settled_at` is for a state after the one that settled it.

    `knows_facts` tells whether the reader may see the numbers behind a refusal.
    """
    settlement = outcome.settlement
    return _encode(
        TransferView(
            transfer_id=outcome.transfer_id,
            status=outcome.status,
            version=outcome.version,
            kind=kind,
            legs=tuple(
                LegView(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset) for leg in legs
            ),
            accepted_at=accepted_at,
            settled_at=settled_at or (outcome.occurred_at if outcome.is_final() else ""),
            code=outcome.code,
            failure_reason=reason_of(outcome, legs, knows_facts=knows_facts),
            reasons=outcome.reasons,
            resolver=settlement.resolver,
            expires_at=settlement.expires_at,
            captured_minor=by_leg(settlement.captured_minor),
            reversed_minor=by_leg(settlement.reversed_minor),
            fee_minor=settlement.fee_minor,
            reverses=reverses,
            attempts=outcome.attempts,
            memo=msgspec.UNSET if memo is None else msgspec.Raw(memo),
        )
    )


def reason_of(outcome: Outcome, legs: Sequence[Leg], *, knows_facts: bool) -> str:
    """Return why a transfer failed, in a sentence; empty for one that has not."""
    if outcome.status not in _FAILED:
        return ""
    return failure_reason(outcome.code, outcome.facts if knows_facts else {}, {leg.asset for leg in legs})


def by_leg(amounts_minor: tuple[int, ...]) -> int | tuple[int, ...] | None:
    """Return amounts as they are shown: a number of one leg, a list of several, nothing where all are zero."""
    if not any(amounts_minor):
        return None
    return amounts_minor[0] if len(amounts_minor) == 1 else amounts_minor


def read_command(command: bytes) -> TransferCommand:
    """Decode a stored command."""
    return _decode_command(command)


async def are_replays(connection: HotConnection, asked: Mapping[tuple[str, str, str], bytes]) -> bool:
    """Tell whether each (principal, scope, idempotency key) is kept with this hash of its body. Raises: Unavailable."""
    async with connection.autocommit() as database:
        kept = await find_by_keys(database, list(asked))
    return all(key in kept and kept[key].body_hash == body_hash for key, body_hash in asked.items())
