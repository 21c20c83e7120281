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
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command, TransferBatchScreened, TransferCommand, transfers_in
from services.ledger.domain.engine import Decisions, decide
from services.ledger.domain.transfer import Transfer
from services.ledger.metrics import COMMIT_SECONDS, CONFLICTS, JOURNAL_RECORDS, OUTCOMES
from services.ledger.store.accounts import load_accounts
from services.ledger.store.heads import JournalHead, load_head
from services.ledger.store.postings import Batch, HeadMoved, Sealed, write_batch
from services.ledger.store.transfers import load_transfers
from services.ledger.use_cases.publish_outcomes import PublishOutcomes, outcome_message
from services.ledger.use_cases.record_decisions import Signer, record_decisions
from services.ledger.use_cases.watch_clock import WatchClock

COMMIT_TRANSFERS: Final = 1_000
"""Most transfers of one commit, unless a single atomic batch brings them."""
_ATTEMPTS: Final = 8
_JITTER_SECONDS_MAX: Final = 0.05
_CACHED_ACCOUNTS_MAX: Final = 100_000
_UNTRACED: Final[Mapping[str, str]] = {}

log = structlog.get_logger()


class PostTransfers:
    """Posts, holds, settles and refuses transfers.

    Trusts what it remembers of accounts and of the journal's end, because every write says which versions it was
    decided on: if anything moved, nothing is written, all is forgotten and the batch is decided again.

    Idempotent by: transfer_id; a known transfer is answered again. Locks: the shard's head, then the accounts.
    Emits: TransferChanged for every transfer in the commands. Raises: Unavailable; InvariantBroken.
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
        self._accounts: dict[str, Account] = {}
        self._not_active: list[str] = []
        self._head: JournalHead | None = None
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
        self._accounts.pop(account_id, None)

    async def _post(self, commands: Sequence[Command], traceparents: Mapping[str, str]) -> None:
        for _ in range(_ATTEMPTS):
            try:
                return await self._try_to_post(commands, traceparents)
            except HeadMoved:
                CONFLICTS.inc()
                self._forget()
                await asyncio.sleep(random.uniform(0, _JITTER_SECONDS_MAX))  # noqa: S311 -- spreads two writers apart
            except asyncpg.IntegrityConstraintViolationError as failure:
                self._forget()
                raise InvariantBroken(
                    "the engine decides nothing the database forbids", constraint=failure.constraint_name
                ) from failure
            except TallystickError:
                # Whether it was written is unknown, so what we remember may be wrong.
                self._forget()
                raise
        raise Unavailable("ledger_contended", "Others keep writing to this shard.", shard=self._shard)

    async def _try_to_post(self, commands: Sequence[Command], traceparents: Mapping[str, str]) -> None:
        head, known = await self._load(commands)
        # A shard's record times never go back, whatever the clock does.
        now = max(to_rfc3339(self._clock.now()), head.last_time)
        decisions = decide(commands, accounts=self._accounts, known=known, first_index=head.size, now=now)
        if decisions.changes:
            await self._write(decisions, head, now, traceparents)
        else:
            self._keep_active()
            await self._outcomes.repeat(decisions.answers)

    async def _load(self, commands: Sequence[Command]) -> tuple[JournalHead, dict[str, Transfer]]:
        """Bring in what the decision needs and memory does not hold. Returns the head and the transfers known."""
        transfers = [transfer for command in commands for transfer in _transfers_of(command)]
        async with self._hot.autocommit() as connection:
            if self._head is None:
                self._head = await load_head(connection, self._shard)
            known = await load_transfers(connection, [transfer.transfer_id for transfer in transfers])
            legs = [leg for transfer in transfers for leg in transfer.legs]
            legs += [leg for transfer in known.values() for leg in transfer.legs]
            wanted = {leg.source_account_id for leg in legs} | {leg.destination_account_id for leg in legs}
            missing = wanted - self._accounts.keys()
            if missing:
                loaded = await load_accounts(connection, list(missing))
                self._accounts |= loaded
                self._not_active = [account.account_id for account in loaded.values() if account.status != "active"]
        return self._head, known

    async def _write(self, decisions: Decisions, head: JournalHead, now: str, traceparents: Mapping[str, str]) -> None:
        """Commit the decisions, remember the new state and tell the bus."""
        marked = self._outcomes.confirmed_size
        messages: list[Outgoing] = []

        def seal() -> Sealed:
            messages.extend(
                outcome_message(answer, self._shard, traceparents.get(answer.transfer_id, ""))
                for answer in decisions.answers
            )
            return record_decisions(decisions, head=head, now=now, shard=self._shard, signer=self._signer)

        batch = Batch(self._shard, head, decisions, recorded_at=from_rfc3339(now), published_size=marked)
        with COMMIT_SECONDS.time():
            sealed = await write_batch(self._hot, batch, seal)
        reached("ledger.after_commit_before_publish")
        self._head = sealed.after
        self._accounts |= decisions.books.changed
        self._keep_active()
        _count(decisions)
        JOURNAL_RECORDS.labels(self._shard).set(sealed.after.size)
        await self._outcomes.publish(messages, first=head.size, size=sealed.after.size, marked=marked)

    def _keep_active(self) -> None:
        """Remember active accounts alone, and not too many.

        One that refuses everything is never written, so no version would ever tell that it was opened again.
        """
        for account_id in self._not_active:
            self._accounts.pop(account_id, None)
        self._not_active.clear()
        if len(self._accounts) > _CACHED_ACCOUNTS_MAX:
            for account_id in list(self._accounts)[: _CACHED_ACCOUNTS_MAX // 2]:
                del self._accounts[account_id]

    def _forget(self) -> None:
        self._accounts.clear()
        self._not_active.clear()
        self._head = None


def _count(decisions: Decisions) -> None:
    for transfer, _ in decisions.changes:
        if transfer.status != "posted":
            log.info(
                "transfer_not_posted",
                transfer_id=transfer.transfer_id,
                status=transfer.status,
                code=transfer.code,
                journal_index=transfer.journal_index,
            )
    for status, number in Counter(transfer.status for transfer, _ in decisions.changes).items():
        OUTCOMES.labels(status).inc(number)


def _parts(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """Cut the commands so that a commit stays small; an atomic batch stays whole."""
    part: list[Command] = []
    transfers = 0
    for command in commands:
        weight = transfers_in(command)
        if part and transfers + weight > COMMIT_TRANSFERS:
            yield part
            part, transfers = [], 0
        part.append(command)
        transfers += weight
    if part:
        yield part


def _transfers_of(command: Command) -> Iterator[TransferCommand]:
    if isinstance(command, TransferBatchScreened):
        for screening in command.screenings:
            yield screening.command
    else:
        yield command.command
