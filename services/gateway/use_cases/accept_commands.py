"""Intake of commands about transfers and accounts that are there already: kept, published, waited for.

They are few beside the transfers, so each is kept by a statement of its own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.audit import AskedFrom
from libs.common.contracts.gateway import (
    CaptureTransfer,
    ChangeAccount,
    PublishFeeSchedule,
    ReverseTransfer,
    VoidTransfer,
)
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable, Unprocessable
from libs.common.ids import new_id
from libs.common.messaging.publisher import Publisher
from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.messages import ledger_command
from services.gateway.metrics import REPLAYS
from services.gateway.store.commands import CommandKey, NewCommand, StoredCommand, find_command, insert_command
from services.gateway.use_cases.accept_transfers import UNSENT_MAX
from services.gateway.use_cases.await_outcomes import Waiters

_REPEAT_AFTER_SECONDS: Final = 5.0
_WAITING_MAX: Final = 1000

_encode = msgspec.json.Encoder().encode

LedgerCommand = CaptureTransfer | VoidTransfer | ReverseTransfer | ChangeAccount | PublishFeeSchedule


@dataclass(frozen=True, slots=True)
class AskedCommand:
    """A command as somebody asks for it. `build` makes the message of (command id, RFC 3339 UTC time)."""

    scope: str
    idempotency_key: str
    body_hash: bytes
    actor_id: str
    subject_id: str
    build: Callable[[str, str], LedgerCommand]
    memo: bytes | None = None
    memo_salt: bytes | None = None
    asked_from: AskedFrom | None = None

    @property
    def key(self) -> CommandKey:
        """Return what makes this command the same as another."""
        return (self.actor_id, self.scope, self.idempotency_key)


@dataclass(frozen=True, slots=True)
class TakenCommand:
    """A command that is durable, with what became of it within the wait."""

    command: StoredCommand
    is_replay: bool


class CommandIntake:
    """Keeps and publishes commands, over a connection of its own."""

    def __init__(self, connection: HotConnection, publisher: Publisher, waiters: Waiters, clock: Clock) -> None:
        """Share the waiters with the intake of transfers."""
        self._connection = connection
        self._publisher = publisher
        self._waiters = waiters
        self._clock = clock
        self._waiting = 0
        """How many commands are being stored, or wait for their turn."""

    async def submit(self, asked: AskedCommand, wait_seconds: float) -> TakenCommand:
        """Keep the command and wait for the ledger's answer; a known key gets what became of the first.

        Idempotent by: the key. Emits: the command. Raises: Unprocessable idempotency_key_reused, Unavailable.
        """
        if self._waiting >= _WAITING_MAX or self._publisher.waiting_messages >= UNSENT_MAX:
            raise Unavailable("overloaded", "Too many requests are waiting; try again.", retry_after_seconds=1)
        command_id = new_id()
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        # Registered before the commit: an outcome must not come and find nobody.
        self._waiters.expect(command_id, answer)
        try:
            reached("gateway.command_before_commit")
            self._waiting += 1
            try:
                stored = await self._store(asked, command_id)
            finally:
                self._waiting -= 1
            if stored.command_id != command_id:
                self._waiters.drop(command_id)
                return await self._replay(asked, stored, wait_seconds)
            reached("gateway.command_after_commit")
            message = ledger_command(asked.scope, command_id, asked.subject_id, stored.message)
            await self._publisher.send([message])
        except BaseException:
            self._waiters.drop(command_id)
            raise
        self._waiters.end_after(command_id, answer, wait_seconds)
        stored.outcome = await answer
        return TakenCommand(stored, is_replay=False)

    async def is_replay(self, asked: AskedCommand) -> bool:
        """Tell whether the command is kept already, with this body. Raises: Unavailable."""
        async with self._connection.autocommit() as database:
            earlier = await find_command(database, asked.key)
        return earlier is not None and earlier.body_hash == asked.body_hash

    async def _store(self, asked: AskedCommand, command_id: str) -> StoredCommand:
        """Return the command as it is kept: this one, or the one that has its key."""
        async with self._connection.autocommit() as database:
            now = self._clock()
            message = msgspec.structs.replace(asked.build(command_id, to_rfc3339(now)), asked_from=asked.asked_from)
            new = NewCommand(
                command_id,
                *asked.key,
                asked.body_hash,
                asked.subject_id,
                _encode(message),
                asked.memo,
                asked.memo_salt,
            )
            if not await insert_command(database, new, now, repeat_after_seconds=_REPEAT_AFTER_SECONDS):
                earlier = await find_command(database, asked.key)
                assert earlier is not None  # noqa: S101 -- its key is why nothing was inserted, and no row is removed
                return earlier
        return StoredCommand(
            command_id, *asked.key, asked.body_hash, asked.subject_id, new.message, asked.memo, accepted(command_id)
        )

    async def _replay(self, asked: AskedCommand, earlier: StoredCommand, wait_seconds: float) -> TakenCommand:
        REPLAYS.inc()
        if earlier.body_hash != asked.body_hash:
            raise Unprocessable(
                "idempotency_key_reused", "This key was used for another request; use a new key for a new request."
            )
        outcome = self._waiters.newest(earlier.outcome)
        if outcome.version == 0 and wait_seconds > 0:
            answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self._waiters.expect(earlier.command_id, answer)
            self._waiters.end_after(earlier.command_id, answer, wait_seconds)
            outcome = await answer
        earlier.outcome = outcome
        return TakenCommand(earlier, is_replay=True)
