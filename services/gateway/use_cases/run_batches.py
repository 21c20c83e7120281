"""Works through files of transfers: a piece at a time, each line under a key of its own.

Any api process takes whichever batch has waited longest, under a lease that ends by itself. What a killed process left
is gone on with by another: a piece is done whole or not at all.
"""

import asyncio
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Forbidden, Malformed, NotFound, Unavailable
from libs.common.http.auth import Principal
from libs.common.origins import Origin, OriginKeys
from services.gateway.domain.batch_files import FileLine
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.requests import hold_seconds_of, legs_of, memo_of
from services.gateway.store.batches import finish_batch, next_piece, release_batch, take_batch
from services.gateway.use_cases.accept_piece import PieceIntake, PieceLine
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
        pieces: PieceIntake,
        intake: Intake,
        directory: Directory,
        halt: LedgerHalt,
        origins: OriginKeys,
        clock: Clock,
        outcome_seconds: float = _OUTCOME_SECONDS,
    ) -> None:
        """Submit while the ordinary intake has room, and wait so long for the outcomes of a piece."""
        self._connection = connection
        self._pieces = pieces
        self._intake = intake
        self._directory = directory
        self._halt = halt
        self._origins = origins
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
        """Do one piece; tell whether there was any. Raises: Unavailable, Conflict: nothing of it is kept then."""
        async with self._connection.autocommit() as connection:
            taken = await take_batch(connection, self._clock(), _LEASE_SECONDS)
            if taken is None:
                return False
            batch_id = taken.batch_id
            piece = await next_piece(connection, batch_id)
            if piece is None:
                await finish_batch(connection, batch_id, "done", self._clock())
                return True
        number, lines = piece
        origin = Origin(self._origins.address(taken.asked_from.address))
        prepared = await self._prepare(taken.principal_id, lines, origin)
        outcomes = await self._pieces.submit(batch_id, number, prepared, taken.asked_from)
        # All of a piece have one deadline; the batch stays leased until then, so that nobody begins the next piece.
        await asyncio.gather(*outcomes)
        async with self._connection.autocommit() as connection:
            await release_batch(connection, batch_id)
        return True

    async def _prepare(self, principal_id: str, lines: list[FileLine], origin: Origin) -> list[PieceLine]:
        """Draft what the lines ask for."""
        principal = Principal(principal_id, frozenset({"customer"}), "", float("inf"))
        legs = [leg for line in lines for leg in legs_of(line.item)]
        account_ids = {leg.source_account_id for leg in legs} | {leg.destination_account_id for leg in legs}
        await self._directory.fetch(account_ids, principal_id)
        self._intake.require_room(len(lines))
        return [PieceLine(line.line, await self._drafted(principal, line, origin)) for line in lines]

    async def _drafted(self, principal: Principal, line: FileLine, origin: Origin) -> Submission | str:
        """Return what is to be kept, or the code of a refusal that will not change."""
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
        draft.origin = origin
        return Submission(
            "batch",
            item.idempotency_key,
            hash_body(item),
            draft,
            self._outcome_seconds,
            asyncio.get_running_loop().create_future(),
        )
