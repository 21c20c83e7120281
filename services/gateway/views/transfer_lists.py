"""Lists of transfers as the gateway composes them: by metadata from what was asked, else from the ledger's list.

Free text is known here alone, so the ledger's list gets its memos here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from libs.common.clock import from_rfc3339
from libs.common.contracts.transfers import TransferCommand
from libs.common.db.reading import Reading
from libs.common.http.cursors import Cursor
from libs.common.money import MAX_AMOUNT_MINOR
from services.gateway.domain.outcomes import SHOWN_TO_PAYEES
from services.gateway.store.outcome_rows import outcome_from
from services.gateway.views.transfers import LegView, by_leg, read_command, reason_of

LOOKED_AT_MAX: Final = 500
"""Most transfers with the metadata that one page looks at."""
ID_MAX: Final = 2**128 - 1

_MEMOS: Final = """
SELECT transfer_id::text, memo FROM gateway.transfers WHERE transfer_id = ANY($1::uuid[]) AND memo IS NOT NULL
"""
# `outcomes` keeps the answer that was frozen; what happened to the transfer later stands in `later_states`.
_BY_METADATA: Final = """
SELECT m.transfer_id::text, t.principal_id = $1, t.command, t.memo, coalesce(l.status, o.status, 'accepted'),
    coalesce(l.version, o.version, 0), coalesce(l.code, o.code, ''), coalesce(l.reasons, o.reasons, '{{}}'),
    coalesce(l.facts, o.facts, '{{}}'), coalesce(l.journal_index, o.journal_index, -1),
    coalesce(l.occurred_at, o.occurred_at, ''), coalesce(l.settlement, o.settlement)::text,
    coalesce(l.attempts, o.attempts, 0)
FROM (
    SELECT transfer_id FROM gateway.transfer_metadata
    WHERE {whose} AND key = $2 AND value = $3 AND transfer_id BETWEEN $4 AND $5 ORDER BY transfer_id {order} LIMIT $6
) AS m
JOIN gateway.transfers t USING (transfer_id)
LEFT JOIN gateway.outcomes o USING (transfer_id)
LEFT JOIN LATERAL (
    SELECT * FROM gateway.later_states
    WHERE transfer_id = m.transfer_id AND o.version > 0 AND version > o.version ORDER BY version DESC LIMIT 1
) AS l ON true
ORDER BY m.transfer_id {order}
"""
_WHOSE: Final = {False: "party_id = $1", True: "is_actor AND $1::uuid IS NOT NULL"}
_ORDER: Final[Mapping[str, str]] = {"next": "DESC", "prev": "ASC"}


class ListedTransfer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A transfer in a list: its newest state, reached at `changed_at`, and what was asked for.

    `changed_at` is not `settled_at`: it is also the time of a hold, and of a reversal of what was settled before.
    `journal_index` is the first record it has in the journal; from a list by metadata it is its newest. `legs` are what
    was asked for; `captured_minor` is what a hold has posted so far, `reversed_minor` what was given back: a number, or
    a list by leg where there are several, null for nothing. `fee_minor` was withheld from the payees. `reverses` names
    the transfer that a reversal gives back; lists by metadata have no reversals.
    `failure_reason` is the code in a sentence, with the payer's own numbers for himself and staff. `attempts` is how
    many tries it took the ledger to decide this state; 0 while it has decided nothing.
    """

    transfer_id: str
    journal_index: int
    kind: str
    status: str
    version: int
    code: str
    reasons: tuple[str, ...]
    legs: tuple[LegView, ...]
    accepted_at: str
    changed_at: str
    captured_minor: int | tuple[int, ...] | None = None
    reversed_minor: int | tuple[int, ...] | None = None
    fee_minor: int = 0
    reverses: str = ""
    attempts: int = 0
    failure_reason: str = ""
    memo: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class TransferPage(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A page of transfers, newest first. `next` asks for older ones, `prev` for newer; null: there are none.

    A page may have fewer transfers than the limit, or none, and a cursor all the same: go on until it is null.
    """

    transfers: tuple[ListedTransfer, ...]
    next: str | None
    prev: str | None


class MetadataQuery(NamedTuple):
    """Which transfers: sent with all of this metadata, and what else must be true of them."""

    principal_id: str
    of_anybody: bool
    metadata: Mapping[str, str]
    account_id: str | None = None
    status: str | None = None
    begins_at: datetime | None = None
    ends_before: datetime | None = None
    min_amount_minor: int = 1
    max_amount_minor: int = MAX_AMOUNT_MINOR

    @property
    def passes_over(self) -> bool:
        """Whether it leaves out transfers that stand among those with its first pair."""
        amounts = (self.min_amount_minor, self.max_amount_minor)
        return bool(self.account_id or self.status) or len(self.metadata) > 1 or amounts != (1, MAX_AMOUNT_MINOR)


class Found(NamedTuple):
    """Transfers, newest first; older ones have ids below `older_than`, newer ones above `newer_than`."""

    transfers: tuple[ListedTransfer, ...]
    older_than: int | None
    newer_than: int | None


async def with_memos(reading: Reading, page: TransferPage) -> TransferPage:
    """Add to the ledger's list what was written with each transfer. Raises: Unavailable."""
    ids = [transfer.transfer_id for transfer in page.transfers]
    async with reading.connection() as database:
        memos = dict(await database.fetch(_MEMOS, ids))
    transfers = tuple(
        msgspec.structs.replace(transfer, memo=msgspec.Raw(memos[transfer.transfer_id]))
        if transfer.transfer_id in memos
        else transfer
        for transfer in page.transfers
    )
    return TransferPage(transfers=transfers, next=page.next, prev=page.prev)


async def find_by_metadata(reading: Reading, asked: MetadataQuery, start: Cursor | None, *, limit: int) -> Found:
    """Return the newest transfers with this metadata, or those next to a cursor's id. Raises: Unavailable.

    The index serves the first pair; the others, like the other filters, are looked for among what has it.
    """
    side, beyond = ("next", None) if start is None else start
    looked_at = LOOKED_AT_MAX if asked.passes_over else limit + 1
    lowest = _first_id(asked.begins_at, 0)
    highest = _first_id(asked.ends_before, ID_MAX + 1) - 1
    if beyond is not None and side == "next":
        highest = min(highest, beyond - 1)
    elif beyond is not None:
        lowest = max(lowest, beyond + 1)
    if lowest > highest:
        rows = []
    else:
        key, value = next(iter(asked.metadata.items()))
        statement = _BY_METADATA.format(whose=_WHOSE[asked.of_anybody], order=_ORDER[side])
        async with reading.connection() as database:
            rows = await database.fetch(
                statement, asked.principal_id, key, value, UUID(int=lowest), UUID(int=highest), looked_at
            )
    found = [transfer for row in rows if (transfer := _matching(row, asked)) is not None]
    end = UUID(rows[-1][0]).int if len(rows) == looked_at else None
    if len(found) > limit:
        del found[limit:]
        end = UUID(found[-1].transfer_id).int
    if side == "prev":
        return Found(tuple(found[::-1]), None if beyond is None else min(beyond + 1, ID_MAX), end)
    return Found(tuple(found), end, None if beyond is None else max(beyond - 1, 0))


def _first_id(moment: datetime | None, otherwise: int) -> int:
    """Return the smallest UUIDv7 (RFC 9562, 5.7) of this millisecond as a number."""
    return otherwise if moment is None else max(int(moment.timestamp() * 1000), 0) << 80


def _matching(row: asyncpg.Record, asked: MetadataQuery) -> ListedTransfer | None:
    transfer_id, is_actor, stored, memo, *newest = row
    outcome, knows_facts = outcome_from((transfer_id, *newest)), asked.of_anybody or is_actor
    if asked.status not in {None, outcome.status} or not (knows_facts or outcome.status in SHOWN_TO_PAYEES):
        return None
    command = read_command(stored)
    if not (_has_metadata(memo, asked.metadata) and _is_meant(command, asked)):
        return None
    return ListedTransfer(
        transfer_id=transfer_id,
        journal_index=outcome.journal_index,
        kind=command.kind,
        status=outcome.status,
        version=outcome.version,
        code=outcome.code,
        reasons=outcome.reasons,
        legs=tuple(
            LegView(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset)
            for leg in command.legs
        ),
        accepted_at=command.requested_at,
        changed_at=outcome.occurred_at or command.requested_at,
        captured_minor=by_leg(outcome.settlement.captured_minor),
        reversed_minor=by_leg(outcome.settlement.reversed_minor),
        fee_minor=outcome.settlement.fee_minor,
        attempts=outcome.attempts,
        failure_reason=reason_of(outcome, command.legs, knows_facts=knows_facts),
        memo=msgspec.Raw(memo),
    )


def _is_meant(command: TransferCommand, asked: MetadataQuery) -> bool:
    requested_at = from_rfc3339(command.requested_at)
    return (
        (asked.begins_at is None or requested_at >= asked.begins_at)
        and (asked.ends_before is None or requested_at < asked.ends_before)
        and any(asked.min_amount_minor <= leg.amount_minor <= asked.max_amount_minor for leg in command.legs)
        and (asked.account_id is None or asked.account_id in _accounts(command))
    )


def _accounts(command: TransferCommand) -> Sequence[str]:
    return [account for leg in command.legs for account in (leg.source_account_id, leg.destination_account_id)]


def _has_metadata(memo: bytes, metadata: Mapping[str, str]) -> bool:
    kept = msgspec.json.decode(memo).get("metadata", {})
    return all(kept.get(key) == value for key, value in metadata.items())
