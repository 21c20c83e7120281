"""Intake of a piece of a file: its transfers and the note of what became of its lines are kept in one commit.

So a piece is done or not begun, wherever a process is killed. The commit holds the batch's row: once the batch is
cancelled, nothing more of it is kept, not even by a process that had been stopped in the middle.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from libs.common.audit.audit_log import append_entries, audit_recorded
from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.audit import AskedFrom
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.publisher import Publisher
from services.gateway.domain.outcomes import Outcome
from services.gateway.messages import transfer_requested
from services.gateway.store.batches import hold_open_piece, note_piece
from services.gateway.store.money_callers import Caller, lump_of, save_lump
from services.gateway.store.transfers import NewRequest, find_by_keys, insert_requests
from services.gateway.use_cases.accept_transfers import Submission, as_row
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.record_callers import proof_of

_KEY_REUSED: Final = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class PieceLine:
    """A line of a piece: what is asked for, or the code of a refusal that will not change."""

    line: int
    asked: Submission | str


class PieceIntake:
    """Keeps and publishes pieces of files, over the connection of whoever works through them."""

    def __init__(self, connection: HotConnection, publisher: Publisher, waiters: Waiters, clock: Clock) -> None:
        """Share the waiters with the intake of single transfers."""
        self._connection = connection
        self._publisher = publisher
        self._waiters = waiters
        self._clock = clock

    async def submit(
        self, batch_id: str, number: int, lines: Sequence[PieceLine], asked_from: AskedFrom
    ) -> list[asyncio.Future[Outcome]]:
        """Keep the piece and publish its transfers; return what will have the outcome of each new one.

        From where the file was sent is kept with its transfers, as if each had been asked for from there.

        Nothing is kept of a piece that is done already, or whose batch has ended. Idempotent by: (batch, piece), and
        the lines' keys. Locks: the batch, then the keys in their order. Emits: TransferRequested. Raises: Unavailable.
        """
        asked = [line.asked for line in lines if isinstance(line.asked, Submission)]
        reached("gateway.batch_piece_before_commit")
        try:
            # tidy: allow commit-outside-unit-of-work: as the intake of single transfers, whose rows are their outbox
            async with self._connection.transaction() as connection:
                if not await hold_open_piece(connection, batch_id, number):
                    return []
                rows = await self._insert(connection, asked)
                kept = await find_by_keys(connection, [submission.key for submission in asked])
                found = {key: (earlier.transfer_id, earlier.body_hash) for key, earlier in kept.items()}
                await note_piece(connection, batch_id, number, *_results(lines, found))
                stored = {transfer_id for transfer_id, _ in found.values()}
                new = [submission for submission in asked if submission.transfer_id in stored]
                proof = await self._keep_callers(connection, new, asked_from)
        except BaseException:
            self._drop(asked)
            raise
        reached("gateway.batch_piece_after_commit")
        self._drop(submission for submission in asked if submission.transfer_id not in stored)
        await self._publisher.send(
            [
                transfer_requested(row.principal_id, row.transfer_id, row.command)
                for row in rows
                if row.transfer_id in stored
            ]
            + proof
        )
        return self._waited_for(new)

    async def _keep_callers(
        self, connection: asyncpg.Connection, new: Sequence[Submission], asked_from: AskedFrom
    ) -> list[Outgoing]:
        """Keep from where these were asked for; return what tells of the proof."""
        if not new:
            return []
        caller = Caller(asked_from.address, asked_from.user_agent, asked_from.key_id)
        requests = [(submission.transfer_id, asked_from.request_id, 0) for submission in new]
        lump = lump_of(new_id(), requests, [caller])
        entries = [proof_of(lump, self._clock())]
        await save_lump(connection, lump)
        await append_entries(connection, "gateway", entries)
        return [audit_recorded("gateway", entries)]

    async def _insert(self, connection: asyncpg.Connection, asked: Sequence[Submission]) -> list[NewRequest]:
        now = self._clock()
        for submission in asked:
            submission.transfer_id, submission.accepted_at = new_id(), to_rfc3339(now)
            # Before the commit: an outcome must not come and find nobody.
            self._waiters.expect(submission.transfer_id, submission.answer)
        rows = [as_row(submission) for submission in sorted(asked, key=lambda submission: submission.key)]
        await insert_requests(connection, rows, now)
        return rows

    def _drop(self, submissions: Iterable[Submission]) -> None:
        for submission in submissions:
            self._waiters.drop(submission.transfer_id)

    def _waited_for(self, submissions: Sequence[Submission]) -> list[asyncio.Future[Outcome]]:
        for submission in submissions:
            self._waiters.end_after(submission.transfer_id, submission.answer, submission.wait_seconds)
        return [submission.answer for submission in submissions]


def _results(
    lines: Sequence[PieceLine], found: Mapping[tuple[str, str, str], tuple[str, bytes]]
) -> tuple[list[str | None], dict[str, str]]:
    """Return the transfers' ids in the lines' order, and line → code of what never became one."""
    transfer_ids: list[str | None] = []
    failures: dict[str, str] = {}
    for line in lines:
        transfer_id, code = None, line.asked
        if isinstance(line.asked, Submission):
            earlier_id, body_hash = found[line.asked.key]
            is_same = body_hash == line.asked.body_hash
            transfer_id, code = (earlier_id, "") if is_same else (None, _KEY_REUSED)
        transfer_ids.append(transfer_id)
        if transfer_id is None:
            failures[str(line.line)] = str(code)
    return transfer_ids, failures
