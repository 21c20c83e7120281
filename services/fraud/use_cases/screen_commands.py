"""Whoever is frozen or denied captures no hold and gives nothing back; what he voids comes back to him as ever."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import structlog

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.base import Message
from libs.common.contracts.topics import SCREENED_COMMANDS
from services.fraud.domain.lists import Lists
from services.fraud.domain.moments import to_us
from services.fraud.domain.screening import BLOCKED_BY_LIST
from services.fraud.metrics import COMMANDS_SCREENED
from services.fraud.store.command_decisions import (
    CommandDecision,
    MovingCommand,
    find_command_decisions,
    keep_command_decisions,
)
from services.fraud.store.list_entries import entries_against_senders
from services.fraud.store.screening_data import lock_screening_version
from services.fraud.store.unit_of_work import UnitOfWork

log = structlog.get_logger()


class AskedAbout(NamedTuple):
    """A command about a transfer. `moves` is what it does with money; None: it gives back what is held, to who holds.

    `screened` makes what is said of it, of (code, RFC 3339 UTC).
    """

    command_id: str
    transfer_id: str
    actor_id: str
    moves: MovingCommand | None
    screened: Callable[[str, str], Message]


class ScreenCommands:
    """Decides whether captures and reversals go on: unless a list freezes who asks, or denies him as a sender.

    Nothing else is asked: limits and rules were, when the transfer was decided. Staff asks in his own name, so what
    is recovered from a frozen customer is. Voids are passed on in their place, that no command overtakes another.

    Idempotent by: command_id; a second request gets the first decision again. Locks: rules and lists as they stand,
    until the commit: what somebody was entered for before it, is found. Emits: CaptureScreened, ReversalScreened,
    VoidScreened. Raises: Unavailable; nothing was written then, and the same may come again.
    """

    def __init__(self, work: UnitOfWork, *, clock: Clock) -> None:
        """Use a connection that does not decide on transfers, so that nobody who sends waits for this."""
        self._work = work
        self._clock = clock

    async def __call__(self, asked: Sequence[AskedAbout]) -> None:
        """Decide on these in one transaction, and say so in their order."""
        now = self._clock()
        async with self._work.open() as transaction:
            decided = await _decide(transaction.connection, asked, now)
            for one in asked:
                code, at = decided.get(one.command_id, ("", now))
                screened = one.screened(code, to_rfc3339(at))
                # Told again it is the same message: were it another, it would wait behind itself while it is parked.
                transaction.emit(
                    SCREENED_COMMANDS, one.transfer_id, screened, message_id=f"fraud-command-{one.command_id}"
                )


async def _decide(
    connection: asyncpg.Connection, asked: Sequence[AskedAbout], now: datetime
) -> dict[str, tuple[str, datetime]]:
    """Return command id → code and time, of those that move money."""
    moving = {one.command_id: (one, one.moves) for one in asked if one.moves is not None}
    if not moving:
        return {}
    await lock_screening_version(connection)
    actor_ids = list({one.actor_id for one, _ in moving.values()})
    lists = Lists(await entries_against_senders(connection, actor_ids))
    decisions = [_judge(one, moves, lists, now) for one, moves in moving.values()]
    fresh = await keep_command_decisions(connection, decisions, now)
    for decision in decisions:
        if decision.command_id in fresh:
            _count(decision)
    decided = {one.command_id: (one.code, now) for one in decisions}
    known = moving.keys() - fresh
    return decided | (await find_command_decisions(connection, list(known)) if known else {})


def _judge(one: AskedAbout, moves: MovingCommand, lists: Lists, now: datetime) -> CommandDecision:
    listed = lists.look_up(one.actor_id, (), address_key=0, device_key=0, now_us=to_us(now))
    code = BLOCKED_BY_LIST.code if listed.denied_by else ""
    return CommandDecision(one.command_id, one.transfer_id, one.actor_id, moves, code, listed.denied_by)


def _count(decision: CommandDecision) -> None:
    COMMANDS_SCREENED.labels(decision.command, "block" if decision.code else "approve").inc()
    if decision.code:
        log.info(
            "command_denied",
            command_id=decision.command_id,
            transfer_id=decision.transfer_id,
            entry_ids=decision.denied_by,
        )
