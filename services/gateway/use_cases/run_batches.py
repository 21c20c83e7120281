"""Works through files of transfers: a piece at a time through the ordinary intake, each line under a key of its own.

Any api process takes whichever batch has waited longest, under a lease that ends by itself. What a killed process left
is done again: the keys make the effect once.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Forbidden, Malformed, NotFound, TallystickError, Unavailable
from libs.common.http.auth import Principal
from services.gateway.domain.batch_files import FileLine
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.outcomes import Outcome
from services.gateway.domain.requests import hold_seconds_of, legs_of, memo_of
from services.gateway.store.batches import finish_batch, next_piece, note_piece, take_batch
from services.gateway.use_cases.accept_transfers import Intake, Submission
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.prepare_transfer import prepare_transfer
from services.gateway.use_cases.watch_ledger import LedgerHalt

log = structlog.get_logger()

_IDLE_SECONDS: Final = 1.0
_LEASE_SECONDS: Final = 10.0
_OUTCOME_SECONDS: Final = 3.0
"""How long a piece waits for its outcomes before the next begins: who asks how far it is sees them come."""


class RunBatches:
    """One worker; each api process has one."""

    def __init__(
        self,
        connection: HotConnection,
        intake: Intake,
        directory: Directory,
        halt: LedgerHalt,
        clock: Clock,
        outcome_seconds: float = _OUTCOME_SECONDS,
    ) -> None:
        """Submit through this process's intake, and wait so long for the outcomes of a piece."""
        self._connection = connection
        self._intake = intake
        self._directory = directory
        self._halt = halt
        self._clock = clock
        self._outcome_seconds = outcome_seconds

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                is_idle = self._halt.is_halted or not await self.work()
            except (Unavailable, Conflict) as reason:
                # The lease passes, then the piece is done again.
                log.warning("batch_postponed", code=reason.code)
                is_idle = True
            if is_idle:
                await asyncio.sleep(_IDLE_SECONDS)

    async def work(self) -> bool:
        """Do one piece; tell whether there was any. Raises: Unavailable, Conflict: nothing is noted then."""
        async with self._connection.autocommit() as connection:
            taken = await take_batch(connection, self._clock(), _LEASE_SECONDS)
            if taken is None:
                return False
            batch_id, principal_id = taken
            piece = await next_piece(connection, batch_id)
            if piece is None:
                await finish_batch(connection, batch_id, "done", self._clock())
                return True
        number, lines = piece
        transfer_ids, failures = await self._carry_out(principal_id, lines)
        reached("gateway.batch_piece_before_note")
        async with self._connection.autocommit() as connection:
            await note_piece(connection, batch_id, number, transfer_ids, failures)
        return True

    async def _carry_out(self, principal_id: str, lines: Sequence[FileLine]) -> tuple[list[str | None], dict[str, str]]:
        """Submit the lines; return their transfers' ids in order, and line → code of what never became one."""
        principal = Principal(principal_id, frozenset({"customer"}), "", float("inf"))
        legs = [leg for line in lines for leg in legs_of(line.item)]
        account_ids = {leg.source_account_id for leg in legs} | {leg.destination_account_id for leg in legs}
        await self._directory.fetch(account_ids, principal_id)
        self._intake.require_room(len(lines))
        entries = [await self._submit(principal, line) for line in lines]
        transfer_ids: list[str | None] = []
        failures: dict[str, str] = {}
        for line, entry in zip(lines, entries, strict=True):
            try:
                if isinstance(entry, str):
                    failures[str(line.line)] = entry
                    transfer_ids.append(None)
                else:
                    transfer_ids.append((await entry).transfer_id)
            except TallystickError as error:
                failures[str(line.line)] = _permanent(error)
                transfer_ids.append(None)
        return transfer_ids, failures

    async def _submit(self, principal: Principal, line: FileLine) -> asyncio.Future[Outcome] | str:
        """Return what will have the outcome, or the code of a refusal that will not change."""
        item = line.item
        try:
            draft = await prepare_transfer(
                principal,
                legs_of(item),
                memo_of(item.description, item.metadata),
                self._directory,
                hold_seconds=hold_seconds_of(item),
            )
        except (Malformed, Forbidden, NotFound) as refusal:
            return refusal.code
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._intake.submit(
            Submission("batch", item.idempotency_key, hash_body(item), draft, self._outcome_seconds, answer)
        )
        return answer


def _permanent(error: TallystickError) -> str:
    """Return the code of what will not change; what may pass is raised, and the piece done again."""
    if isinstance(error, Unavailable | Conflict):
        raise error
    return error.code
