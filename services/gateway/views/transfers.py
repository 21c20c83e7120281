"""Transfers as they are shown: the same document at the first answer, at a replay, and when asked for."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from libs.common.contracts.transfers import Leg, TransferCommand
from libs.common.db.hot import HotConnection
from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.store.transfers import find_by_keys, load_outcomes


class LegView(msgspec.Struct, frozen=True, gc=False):
    """One leg, as asked for."""

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str


class TransferView(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A transfer. Absent members are empty: no code, no reasons, no text, not settled yet."""

    transfer_id: str
    status: str
    version: int
    kind: str
    legs: tuple[LegView, ...]
    accepted_at: str
    settled_at: str = ""
    code: str = ""
    reasons: tuple[str, ...] = ()
    memo: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode
_decode_command = msgspec.json.Decoder(TransferCommand).decode
_SELECT = "SELECT t.command, t.memo FROM gateway.transfers t WHERE t.transfer_id = $1::uuid"


def render_transfer(outcome: Outcome, kind: str, legs: Sequence[Leg], memo: bytes | None, accepted_at: str) -> bytes:
    """Encode a transfer's document."""
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
            settled_at=outcome.occurred_at if outcome.is_final() else "",
            code=outcome.code,
            reasons=outcome.reasons,
            memo=msgspec.UNSET if memo is None else msgspec.Raw(memo),
        )
    )


def read_command(command: bytes) -> TransferCommand:
    """Decode a stored command."""
    return _decode_command(command)


async def are_replays(connection: HotConnection, asked: Mapping[tuple[str, str, str], bytes]) -> bool:
    """Tell whether each (principal, scope, idempotency key) is kept with this hash of its body. Raises: Unavailable."""
    async with connection.autocommit() as database:
        kept = await find_by_keys(database, list(asked))
    return all(key in kept and kept[key].body_hash == body_hash for key, body_hash in asked.items())


async def find_transfer(
    connection: HotConnection, transfer_id: str
) -> tuple[TransferCommand, bytes | None, Outcome] | None:
    """Return (command, memo, newest outcome) of a transfer, or None. Raises: Unavailable."""
    async with connection.autocommit() as database:
        row: asyncpg.Record | None = await database.fetchrow(_SELECT, transfer_id)
        if row is None:
            return None
        outcomes = await load_outcomes(database, [transfer_id])
    return read_command(row[0]), row[1], outcomes[0] if outcomes else accepted(transfer_id)
