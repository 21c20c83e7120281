"""Lists of transfers, newest first. A transfer's place is the journal index of its first record, for ever.

No index is kept for it. Of an account's transfers most are found by its entries, whose journal index grows with seq;
those that began otherwise stand in `unposted_transfers`. All accounts' transfers are found by the journal itself. What
a filter passes over is looked at too, and so is a record that is not a transfer's first, so a page looks at a bounded
number of places and may come short.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import msgspec

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading
from libs.common.http.cursors import Cursor
from libs.common.money import MAX_AMOUNT_MINOR
from libs.common.sentences import failure_reason
from services.ledger.store.journal_record import TransferRecord, decode_transfer_record
from services.ledger.views.transfer_queries import ACCOUNTS_OF_OWNER, BY_ACCOUNTS, BY_JOURNAL, SIZE_AT

LOOKED_AT_MAX: Final = 500
"""Most places that one page with a filter looks at."""
ACCOUNTS_MAX: Final = 100
"""Most accounts whose transfers are merged into one list."""
_TICK: Final = timedelta(microseconds=1)
_INDEX_MAX: Final = 2**53 - 1
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode
_decode_fees = msgspec.json.Decoder(list[tuple[int, str, int]]).decode


class Filter(NamedTuple):
    """Which transfers: of these accounts (None: of all), and what else must be true of them.

    `begins_at` ≤ the time of the first record < `ends_before`. One leg's amount must lie within the amounts. Staff also
    learns the numbers behind a refusal.
    """

    account_ids: Sequence[str] | None
    by_staff: bool
    status: str | None = None
    begins_at: datetime | None = None
    ends_before: datetime | None = None
    min_amount_minor: int = 1
    max_amount_minor: int = MAX_AMOUNT_MINOR

    @property
    def passes_over(self) -> bool:
        """Whether it leaves out transfers that stand among the others."""
        return (self.status, self.min_amount_minor, self.max_amount_minor) != (None, 1, MAX_AMOUNT_MINOR)


class ListedLeg(msgspec.Struct, frozen=True):
    """One leg of a listed transfer."""

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str


class ListedTransfer(msgspec.Struct, frozen=True):
    """A transfer in a list: its newest state, and what was asked for.

    `captured_minor` of what was held and `reversed_minor` are by leg, empty while they are nothing; `fee_minor` is what
    the house has kept of it so far.
    """

    place: int
    transfer_id: str
    kind: str
    status: str
    version: int
    code: str
    reasons: tuple[str, ...]
    legs: tuple[ListedLeg, ...]
    accepted_at: str
    changed_at: str
    captured_minor: tuple[int, ...]
    reversed_minor: tuple[int, ...]
    fee_minor: int
    reverses: str
    attempts: int
    failure_reason: str


class Page(NamedTuple):
    """Transfers, newest first; older ones lie below `older_than`, newer ones above `newer_than`. None: no more."""

    transfers: list[ListedTransfer]
    older_than: int | None
    newer_than: int | None


class OwnedAccount(NamedTuple):
    """An account of somebody's."""

    account_id: str
    is_closed: bool


class TransfersView:
    """Reads lists of transfers from one shard."""

    def __init__(self, reading: Reading, shard: int) -> None:
        """Take what it reads with."""
        self._reading = reading
        self._shard = shard

    async def accounts_of(self, owner_id: str) -> list[OwnedAccount]:
        """Return an owner's accounts, at most one more than `ACCOUNTS_MAX`. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            rows = await connection.fetch(ACCOUNTS_OF_OWNER, owner_id, ACCOUNTS_MAX + 1)
        return [OwnedAccount(*row) for row in rows]

    async def page(self, asked: Filter, start: Cursor | None, *, limit: int) -> Page:
        """Return the newest transfers, or those next to a cursor's place on its side of it. Raises: Unavailable."""
        side, beyond = ("next", None) if start is None else start
        looked_at = LOOKED_AT_MAX if asked.passes_over else limit + 1
        async with self._reading.connection() as connection:
            lowest, highest = await self._bounds(connection, asked)
            if beyond is not None and side == "next":
                highest = min(highest, beyond - 1)
            elif beyond is not None:
                lowest = max(lowest, beyond + 1)
            by = BY_JOURNAL[side] if asked.account_ids is None else BY_ACCOUNTS[side]
            of = self._shard if asked.account_ids is None else asked.account_ids
            rows = await connection.fetch(by, of, lowest, highest, looked_at, asked.status)
        found = [transfer for row in rows if row[1] and (transfer := _listed(row, asked)) is not None]
        end = rows[-1][0] if rows and (rows[0][2] or len(rows) == looked_at) else None
        if len(found) > limit:
            del found[limit:]
            end = found[-1].place
        if side == "prev":
            return Page(found[::-1], None if beyond is None else beyond + 1, end)
        return Page(found, end, None if beyond is None else max(beyond - 1, 0))

    async def _bounds(self, connection: asyncpg.Connection, asked: Filter) -> tuple[int, int]:
        """Turn the times into the first and the last journal index."""
        lowest, highest = 0, _INDEX_MAX
        if asked.begins_at is not None:
            lowest = await connection.fetchval(SIZE_AT, self._shard, asked.begins_at - _TICK)
        if asked.ends_before is not None:
            highest = await connection.fetchval(SIZE_AT, self._shard, asked.ends_before - _TICK) - 1
        return lowest, highest


def _listed(row: asyncpg.Record, asked: Filter) -> ListedTransfer | None:
    place, _, _, transfer_id, kind, status, version, code, reasons, changed_at, attempts, facts, text, *settled = row
    record: TransferRecord = decode_transfer_record(text)
    if not any(asked.min_amount_minor <= leg.amount_minor <= asked.max_amount_minor for leg in record.legs):
        return None
    legs = tuple(
        ListedLeg(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset) for leg in record.legs
    )
    return ListedTransfer(
        place,
        transfer_id,
        kind,
        status,
        version,
        code,
        tuple(reasons),
        legs,
        record.requested_at,
        to_rfc3339(changed_at),
        *_settled(record, *settled),
        record.reverses,
        attempts,
        _reason(record, code, facts, asked),
    )


def _settled(
    record: TransferRecord,
    resolver: str | None,
    captured_minor: list[int] | None,
    reversed_minor: list[int] | None,
    fees: bytes | None,
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return what was captured, what reversed, and the fee; of what has no settlement the only record says it."""
    if captured_minor is None or reversed_minor is None or fees is None:
        return (), (), record.fee_minor
    was_captured = resolver and any(captured_minor)
    return (
        tuple(captured_minor) if was_captured else (),
        tuple(reversed_minor) if any(reversed_minor) else (),
        sum(amount_minor for _, _, amount_minor in _decode_fees(fees)),
    )


def _reason(record: TransferRecord, code: str, facts: str | None, asked: Filter) -> str:
    """Say why it failed, with its numbers for those whose own they are: the payer, and staff.

    A reversal's are the payee's or the house's, so staff alone gets those.
    """
    is_his = asked.account_ids is not None and record.legs and record.legs[0].source_account_id in asked.account_ids
    knows_facts = asked.by_staff or (is_his and record.transfer_kind != "reversal")
    return failure_reason(
        code, _decode_facts(facts) if facts and knows_facts else {}, {leg.asset for leg in record.legs}
    )
