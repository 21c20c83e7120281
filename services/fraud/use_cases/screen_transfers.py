"""Screen transfers: one verdict each, for ever, and the limits exactly used, whoever else screens at the same time."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from libs.common.clock import Clock, monotonic_seconds
from libs.common.contracts.fraud import TransferBatchScreened, TransferScreened
from libs.common.contracts.topics import SCREENINGS
from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Conflict, Unavailable
from services.fraud.domain.policy import Policy
from services.fraud.metrics import BATCH_DECISIONS, CONFLICTS, DECISIONS, DECISIONS_REPEATED, SET_ASIDE
from services.fraud.store.activity_cache import ActivityCache
from services.fraud.store.decisions import DecidedBy, find_decisions, keep_decisions
from services.fraud.store.holds import insert_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import open_reviews
from services.fraud.store.slots import release_at_once
from services.fraud.store.unit_of_work import Transaction, UnitOfWork
from services.fraud.store.users import load_customers, load_payers
from services.fraud.use_cases.answer_again import stored_answer
from services.fraud.use_cases.ask_outcomes import PayersNearLimits
from services.fraud.use_cases.decide_transfers import Docket, payer_of
from services.fraud.use_cases.describe_surroundings import Surroundings, subjects_of
from services.fraud.use_cases.find_payees import Asked, accounts_without_owner, find_payees, with_payees
from services.fraud.use_cases.keep_for_shadow import ShadowQueue
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from services.fraud.use_cases.set_aside import SetAside, assets_of, judge_now

log = structlog.get_logger()

_CONFLICT_CODES: Final = frozenset({"limits_moved", "decided_elsewhere"})


class _RateMissing(Exception):
    """What was decided must not stand: somebody among them may still wait until his asset has a rate."""


class ScreenTransfers:
    """Decides on requests, a whole batch in one transaction.

    Idempotent by: transfer_id; a second request gets the first decision again, word for word.
    Locks: nothing while it decides; the payers' versions are compared when they are written.
    Emits: TransferScreened, or TransferBatchScreened for a batch that posts together.
    Raises: Unavailable; nothing was written then, and the same batch may come again.
    """

    def __init__(
        self,
        work: UnitOfWork,
        cache: PayerCache,
        policy: PolicyInForce,
        screening: ScreeningInForce,
        near: PayersNearLimits,
        *,
        lane: int,
        clock: Clock,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        """Share unit of work and cache with everything else in this process that moves limits.

        `near` is told whom the limits may soon stop. Statistics are counted in this `lane`, of `store/counts.py`.
        """
        self._work = work
        self._cache = cache
        self._policy = policy
        self._screening = screening
        self._activity = ActivityCache()
        self._near = near
        self._lane = lane
        self._clock = clock
        self._monotonic = monotonic
        self._set_aside = SetAside()
        self.shadows = ShadowQueue()
        self._looks_first = True  # whoever has waited for this process to start has asked again

    async def __call__(self, asked: Sequence[Asked]) -> None:
        """Decide on these, in order; who lacks a known payee or a rate for his asset is set aside for two seconds."""
        # Nearly everything asked for is new, and the primary key tells what is not: looking first would cost each
        # transfer a round trip to find nothing. Who would have to wait is looked for: his answer may be here.
        await self._decide_on(asked, looks_first=self._looks_first or bool(accounts_without_owner(asked)))

    async def _decide_on(self, asked: Sequence[Asked], *, looks_first: bool) -> None:
        try:
            if looks_first or not await self._screen_as_new(asked):
                await self._screen(asked, looks_first=True)
        except Unavailable as failure:
            if failure.code in _CONFLICT_CODES:
                CONFLICTS.inc()
            raise

    async def _screen_as_new(self, asked: Sequence[Asked]) -> bool:
        """Decide as if none was decided before nor had to wait; tell whether that was right. If not, nothing stands."""
        try:
            await self._screen(asked, looks_first=False)
        except Unavailable as failure:
            if failure.code != "decided_elsewhere":
                raise
            return False
        except _RateMissing:
            return False
        return True

    async def _screen(self, asked: Sequence[Asked], *, looks_first: bool) -> None:
        docket: Docket | None = None
        payer_ids: Sequence[str] = ()
        try:
            async with self._work.read_first() as transaction:
                policy, owners = await self._policy.read(transaction.connection), dict[str, str]()
                if looks_first:
                    fresh = await self._answer_known(transaction, asked)
                    ready, policy, owners = await self._set_apart(transaction, fresh)
                else:
                    fresh = ready = _each_once(asked)
                payer_ids = _payers_of(ready)
                if ready:
                    docket = await self._prepare(transaction, policy, ready, payer_ids, owners)
                    self._decide(transaction, docket, ready, owners)
                    if docket.lacks_rate and not looks_first:
                        raise _RateMissing
                    await _write(transaction, docket, self._lane)
        except BaseException as failure:
            if docket is not None and _was_refused(failure):
                # Reading the windows again would cost the more the longer they are, for a batch that is done again.
                docket.undo()
                self._cache.forget(docket.just_read)
            else:
                # Nobody knows what was committed, or who else moved these limits: the rows decide next time.
                self._cache.forget(payer_ids)
                if docket is not None:
                    self._activity.forget(docket.surroundings.known)
                self._screening.look_again()
            raise
        # Also what was found decided: another process may have answered while it waited here.
        if len(self._set_aside):
            waiting = {one.key for one in fresh}.difference(one.key for one in ready)
            self._set_aside.done([one for one in asked if one.key not in waiting])
        SET_ASIDE.set(len(self._set_aside))
        if docket is not None:
            self._cache.shrink(slots_taken=len(docket.decisions))
            self._activity.shrink(events_added=len(docket.surroundings.rows))
            self._near.note(docket.near_limits)
            if docket.screening.shadows:
                self.shadows.put(docket.screening.shadows, docket.decisions)
            _count(docket)

    async def retry_set_aside(self) -> None:
        """Look again for what waiting requests lack; called a few times a second, free when nobody waits."""
        waiting = self._set_aside.everyone()
        if not waiting:
            return
        try:
            await self._decide_on(waiting, looks_first=True)
        except Unavailable:
            raise
        except Exception:
            # One of them cannot be judged. The gateway repeats them all, and then delivery finds and parks the one.
            self._set_aside.give_up(waiting)
            raise

    async def _answer_known(self, transaction: Transaction, asked: Sequence[Asked]) -> list[Asked]:
        """Send stored decisions again; return what was never decided, each once."""
        ids = [command.transfer_id for one in asked for command in one.commands]
        stored = await find_decisions(transaction.connection, ids)
        # Repetitions come in runs: after an outage the gateway repeats everything. A run is over when a batch brings
        # none; should it go on, the next one of it is decided in vain once and found by its key.
        self._looks_first = bool(stored)
        new: list[Asked] = []
        for one in asked:
            answer = stored_answer(one, stored) if stored else None
            if answer is None:
                new.append(one)
            else:
                _send(transaction, answer)
                DECISIONS_REPEATED.inc()
        fresh = _each_once(new)
        _refuse_overlap(fresh)
        return fresh

    async def _set_apart(
        self, transaction: Transaction, fresh: Sequence[Asked]
    ) -> tuple[list[Asked], Policy, dict[str, str]]:
        """Return who can be judged now, the policy to do it by, and the owners we found; the others wait."""
        owners = await find_payees(transaction.connection, fresh)
        assets = assets_of(fresh)
        policy = await self._policy.read(transaction.connection, assets)
        if not assets <= policy.rates.keys():
            self._looks_first = True  # until a batch brings none of these either
        ready = judge_now(fresh, self._set_aside, self._monotonic(), owned=owners.keys(), valued=policy.rates.keys())
        return ready, policy, owners

    async def _prepare(
        self,
        transaction: Transaction,
        policy: Policy,
        ready: Sequence[Asked],
        payer_ids: Sequence[str],
        owners: dict[str, str],
    ) -> Docket:
        """Load what the decisions rest on: payees' rows afresh each time, payers' windows where memory has none."""
        now = self._clock()
        just_read = [user_id for user_id in payer_ids if user_id not in self._cache]
        people = dict.fromkeys(just_read)
        people |= {party.user_id: None for one in ready for command in one.commands for party in command.payees}
        people |= dict.fromkeys(owners.values())
        customers = await load_customers(transaction.connection, list(people))
        payers = await load_payers(transaction.connection, self._cache, payer_ids, customers, now)
        screening = await self._screening.read(transaction.connection)
        subjects = subjects_of((command for one in ready for command in one.commands), owners)
        known = await self._activity.around(transaction.connection, subjects, now)
        return Docket(
            policy=policy,
            now=now,
            payers=payers,
            customers=customers,
            screening=screening,
            surroundings=Surroundings(known, customers),
            completed=set(),
            just_read=just_read,
        )

    def _decide(self, transaction: Transaction, docket: Docket, ready: Sequence[Asked], owners: dict[str, str]) -> None:
        for one in ready:
            commands: Sequence[TransferCommand] = one.commands
            if owners:
                commands = [_completed(command, docket, owners) for command in commands]
            if one.batch_id is None:
                answer = docket.decide(commands[0])
                transaction.emit(SCREENINGS, answer.command.transfer_id, answer, one.traceparent)
            else:
                transaction.emit(SCREENINGS, one.batch_id, docket.decide_batch(one.batch_id, commands))


def _was_refused(failure: BaseException) -> bool:
    """Tell whether nothing was written though nobody else moved these limits: memory knew the payers' versions."""
    return isinstance(failure, _RateMissing) or (
        isinstance(failure, Unavailable) and failure.code == "decided_elsewhere"
    )


def _completed(command: TransferCommand, docket: Docket, owners: dict[str, str]) -> TransferCommand:
    if command.kind == "withdrawal" or all(leg.destination_owner_id for leg in command.legs):
        return command
    docket.completed.add(command.transfer_id)
    return with_payees(command, owners, docket.customers)


def _each_once(asked: Sequence[Asked]) -> list[Asked]:
    """Return each request the first time it comes."""
    first: dict[str, Asked] = {}
    for one in asked:
        first.setdefault(one.key, one)
    return list(first.values())


def _refuse_overlap(fresh: Sequence[Asked]) -> None:
    """Refuse to decide one transfer twice in one unit of work: alone and in a batch, or twice in a batch.

    Where nothing was looked for first, the primary key refuses such a work, and it comes here the second time.
    """
    ids = [command.transfer_id for one in fresh for command in one.commands]
    if len(set(ids)) != len(ids):
        raise Conflict("transfer_asked_twice", "A transfer is asked for alone and in a batch, or twice in one.")


def _payers_of(ready: Sequence[Asked]) -> list[str]:
    """Return whose limits these use, each once. Raises: Unprocessable `payer_missing`, before anything is decided."""
    return list(
        {payer_of(command).user_id: None for one in ready for command in one.commands if command.kind == "transfer"}
    )


async def _write(transaction: Transaction, docket: Docket, lane: int) -> None:
    # These statements follow that of the decisions, and must commit with it.
    if docket.holds or docket.unused:
        await transaction.write_together()
    await keep_decisions(
        transaction,
        docket.touched.values(),
        docket.decisions,
        docket.now,
        by=DecidedBy(docket.ruleset, docket.screening.version),
        lane=lane,
        rule_counts=docket.rule_counts,
        activity=docket.surroundings.rows,
    )
    if docket.holds:
        await insert_holds(transaction.connection, docket.holds)
    if docket.reviews:
        await open_reviews(transaction.connection, docket.reviews)
    if docket.unused:
        await release_at_once(transaction.connection, docket.unused, docket.now, reason="batch_refused")


def _send(transaction: Transaction, answer: TransferScreened | TransferBatchScreened, traceparent: str = "") -> None:
    key = answer.batch_id if isinstance(answer, TransferBatchScreened) else answer.command.transfer_id
    transaction.emit(SCREENINGS, key, answer, traceparent)


def _count(docket: Docket) -> None:
    for decision in docket.decisions:
        if decision.verdict != "approve":
            log.info(
                "transfer_not_approved",
                transfer_id=decision.transfer_id,
                decision_id=decision.decision_id,
                verdict=decision.verdict,
                code=decision.code,
                reasons=decision.reasons,
            )
    BATCH_DECISIONS.observe(len(docket.decisions))
    verdicts = [decision.verdict for decision in docket.decisions]
    for verdict in set(verdicts):
        DECISIONS.labels(verdict).inc(verdicts.count(verdict))
