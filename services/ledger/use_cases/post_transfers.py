"""Take commands in order, let the engine decide, write what it decided, tell the bus. One writer a shard."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import asyncpg
import structlog

from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.errors import InvariantBroken, TallystickError, Unavailable
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.domain.attempts import CountAttempts
from services.ledger.domain.commands import (
    ChangeAccount,
    Command,
    PublishFeeSchedule,
    TransferScreened,
    transfers_in,
)
from services.ledger.domain.engine import decide_more
from services.ledger.domain.run import AccountAnswer, Answer, CommandAnswer, Decisions, FeeAnswer, Run
from services.ledger.domain.transfer import Transfer
from services.ledger.messages import answer_message
from services.ledger.metrics import COMMIT_SECONDS, CONFLICTS, JOURNAL_RECORDS, OUTCOMES
from services.ledger.store.batch import Batch, HeadMoved, Sealed
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import TRANSFER_KIND
from services.ledger.store.memory import Memory
from services.ledger.store.money import TRANSFER_KNOWN
from services.ledger.store.postings import write_batch
from services.ledger.use_cases.note_commands import entries_of, messages_of
from services.ledger.use_cases.publish_outcomes import PublishOutcomes
from services.ledger.use_cases.record_decisions import Signer, record_decisions
from services.ledger.use_cases.watch_clock import WatchClock

COMMIT_TRANSFERS: Final = 1_000
"""Most transfers of one commit, unless a single atomic batch brings them."""
PORTION: Final = 250
"""Of more commands, the entries of so many are copied while the next are decided. That is a round trip of its own."""
_WAITS_SECONDS: Final = (0.02, 0.08, 0.32)
"""Before the second, third and fourth try; each try waits between half of it and all of it."""
_UNTRACED: Final[Mapping[str, str]] = {}

log = structlog.get_logger()


class PostTransfers:
    """Posts, holds, settles and refuses transfers.

    Trusts what it remembers of accounts and of the journal's end, because every write says which versions it was
    decided on: if anything moved, nothing is written, all is forgotten and the batch is decided again. Presumes that
    screened transfers are new, because no transfer can be inserted twice: if one was decided before, nothing is
    written, and the batch is decided again with what is known.

    Idempotent by: transfer_id; a known transfer is answered again. Locks: the shard's head, then the accounts.
    Emits: TransferChanged for every transfer in the commands, AuditRecorded for what was asked by callers and
    staff. Raises: Unavailable; InvariantBroken.
    """

    def __init__(
        self, *, hot: HotConnection, outcomes: PublishOutcomes, signer: Signer, clock: WatchClock, shard: int
    ) -> None:
        """Remember nothing yet; the first batch loads the head."""
        self._hot = hot
        self._outcomes = outcomes
        self._signer = signer
        self._clock = clock
        self._shard = shard
        self._memory = Memory(hot, shard)
        self._attempts = CountAttempts()
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, commands: Sequence[Command], traceparents: Mapping[str, str] = _UNTRACED) -> None:
        """Do all commands, in order, in as few commits as their size allows.

        `traceparents` is transfer_id → what its outcome's message carries, of the traced ones alone.
        """
        async with self._one_at_a_time:
            for part in _parts(commands):
                await self._post(part, traceparents)

    def forget_account(self, account_id: str) -> None:
        """Read this account again before the next decision: somebody changed its state."""
        self._memory.accounts.pop(account_id, None)

    async def _post(self, commands: Sequence[Command], traceparents: Mapping[str, str]) -> None:
        """Do one part. What may pass is tried again after growing waits; then delivery brings the batch again."""
        waits_seconds = iter(_WAITS_SECONDS)
        while True:
            try:
                return await self._try_to_post(commands, traceparents)
            except asyncpg.IntegrityConstraintViolationError as violation:
                if self._memory.presumed and violation.constraint_name == TRANSFER_KNOWN:
                    # Nobody moved anything and nothing was written, so the rest of what we remember holds.
                    self._memory.look_first()
                    continue
                self._memory.forget()
                raise InvariantBroken(
                    "the engine decides nothing the database forbids", constraint=violation.constraint_name
                ) from violation
            except HeadMoved:
                CONFLICTS.inc()
                failure = Unavailable("ledger_contended", "Others keep writing to this shard.", shard=self._shard)
            except Unavailable as trouble:
                failure = trouble
            except TallystickError:
                self._memory.forget()
                raise
            # Whether it was written may be unknown: the next try reads the head again, and looks at what is there.
            self._memory.forget()
            wait_seconds = next(waits_seconds, None)
            if wait_seconds is None:
                raise failure
            await asyncio.sleep(random.uniform(wait_seconds / 2, wait_seconds))  # noqa: S311 -- spreads two writers

    async def _try_to_post(self, commands: Sequence[Command], traceparents: Mapping[str, str]) -> None:
        head, accounts, known, done, schedules = await self._memory.recall(commands)
        # A shard's record times never go back, whatever the clock does.
        now = max(to_rfc3339(self._clock.now()), head.last_time)
        run = Run(accounts, known, first_index=head.size, now=now, done=done, schedules=schedules)
        decisions = run.decisions
        if self._memory.presumed and len(commands) > PORTION and not self._attempts.have_failed:
            # New ones each make a record, so that there will be something to write is known before it is decided.
            await self._write(decisions, head, now, traceparents, _portions(run, commands))
            return
        decide_more(run, commands)
        if decisions.changes:
            await self._write(decisions, head, now, traceparents)
        else:
            self._memory.keep_active()
            self._attempts.forget(decisions.answers)
            await self._outcomes.repeat(decisions.answers)
        if known or done:
            await self._outcomes.repeat_states(decisions.answers, before=head.size)

    async def _write(
        self,
        decisions: Decisions,
        head: JournalHead,
        now: str,
        traceparents: Mapping[str, str],
        undecided: Iterator[None] | None = None,
    ) -> None:
        """Commit the decisions, what is undecided of them included, remember the new state and tell the bus."""
        marked = self._outcomes.confirmed_size
        messages: list[Outgoing] = []

        def seal() -> Sealed:
            return record_decisions(decisions, head=head, now=now, shard=self._shard, signer=self._signer)

        def prepare() -> None:
            messages.extend(
                answer_message(answer, self._shard, _traceparent_of(answer, traceparents))
                for answer in decisions.answers
            )

        at = from_rfc3339(now)
        audited = entries_of(decisions, at)
        batch = Batch(self._shard, head, decisions, at, published_size=marked, audited=audited, undecided=undecided)
        with COMMIT_SECONDS.time(), self._attempts.trying(decisions):
            try:
                sealed = await write_batch(self._hot, batch, seal, prepare)
            finally:
                for _ in undecided or ():  # a try that failed was one for all of them
                    pass
        reached("ledger.after_commit_before_publish")
        if decisions.commands or decisions.reversals:
            reached("ledger.command_after_commit")
        self._memory.remember(sealed.after, decisions.books.changed)
        if decisions.published is not None:
            self._memory.forget()  # the next batch reads the schedules again, and the accounts they credit
        self._memory.keep_active()
        _count(decisions)
        JOURNAL_RECORDS.labels(self._shard).set(sealed.after.size)
        await self._outcomes.publish(messages, first=head.size, size=sealed.after.size, marked=marked)
        if audited:
            await self._outcomes.tell(messages_of(audited))


def _portions(run: Run, commands: Sequence[Command]) -> Iterator[None]:
    """Decide some of the commands with each step."""
    for first in range(0, len(commands), PORTION):
        decide_more(run, commands[first : first + PORTION])
        yield


def _traceparent_of(answer: Answer, traceparents: Mapping[str, str]) -> str:
    return traceparents.get(answer.transfer_id, "") if traceparents and isinstance(answer, Transfer) else ""


def _count(decisions: Decisions) -> None:
    for change in decisions.changes:
        if change.kind != "transfer.posted":
            log.info("recorded", kind=change.kind, **_facts_of(change.state))
    for kind, number in Counter(change.kind for change in decisions.changes).items():
        OUTCOMES.labels(kind.removeprefix(TRANSFER_KIND)).inc(number)


def _facts_of(state: Answer | FeeAnswer) -> dict[str, str | int]:
    match state:
        case Transfer():
            return {
                "transfer_id": state.transfer_id,
                "status": state.status,
                "code": state.code,
                "journal_index": state.journal_index,
            }
        case CommandAnswer():
            return {"command_id": state.command_id, "code": state.code, "journal_index": state.journal_index}
        case FeeAnswer():
            return {"fee_schedule": state.schedule.version, "journal_index": state.journal_index}
        case AccountAnswer():
            return {"account_id": state.account_id, "status": state.status, "journal_index": state.journal_index}


def _parts(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """Cut the commands so that a commit stays small; an atomic batch stays whole.

    What changes an account's limits is a commit of its own: the database compares balances with limits row by row, and
    of the two that one commit would change it could only ever see one. So is a new fee schedule: whoever decides by it
    needs the accounts it credits.
    """
    part: list[Command] = []
    transfers = 0
    for command in commands:
        weight = 1 if isinstance(command, TransferScreened) else _weight(command)
        if part and transfers + weight > COMMIT_TRANSFERS:
            yield part
            part, transfers = [], 0
        part.append(command)
        transfers += weight
    if part:
        yield part


def _weight(command: Command) -> int:
    """Return how many transfers of a commit it takes up."""
    alone = isinstance(command, (ChangeAccount, PublishFeeSchedule))
    return COMMIT_TRANSFERS if alone else transfers_in(command)
