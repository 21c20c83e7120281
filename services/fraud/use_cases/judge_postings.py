"""Judge postings: look through the customers who paid or were paid, and raise alerts for what is found."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from libs.common.clock import Clock
from services.fraud.domain.aml_bounds import Bounds, bounds_of
from services.fraud.domain.aml_edges import Due, Edge, Ring
from services.fraud.domain.aml_parameters import AmlParameters
from services.fraud.domain.aml_typologies import find_patterns
from services.fraud.domain.policy import DEFAULT_PROFILE
from services.fraud.metrics import ALERTS, EDGES_JUDGED
from services.fraud.store.aml_alerts import Found, Raised, raise_alerts
from services.fraud.store.aml_edges import (
    Progress,
    has_unjudged,
    lock_progress,
    note_judged,
    read_newest,
    read_profiles,
    read_unjudged,
)
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_parameters import read_parameters
from services.fraud.store.aml_tallies import count_tallies
from services.fraud.store.aml_watch import Watch

log = structlog.get_logger()

JUDGE_SECONDS: Final = 0.5
SETTLED_AFTER: Final = timedelta(seconds=3)
"""A payment is judged so long after it was heard of: what the bus brings out of order has come by then, and each is
judged by what was posted before it, whatever the order of arrival."""
PAGE: Final = 2_000
RECALLED_MAX: Final = 100
"""Customers whose payments are read at a time; so many may be in memory beyond its bounds."""
_PAGES_MAX: Final = 50


class JudgePostings:
    """Judges what was heard of, a page of payments in one transaction.

    Idempotent by: the number up to which it has come. Locks: the progress of the watch, alerts that are not closed.
    Raises: Unavailable.
    """

    def __init__(self, watch: Watch, memory: Memory, *, clock: Clock) -> None:
        """Share connection and memory with what hears postings."""
        self._watch = watch
        self._memory = memory
        self._clock = clock

    async def __call__(self) -> None:
        """Judge what has settled; what is left after many pages waits for the next call."""
        async with self._watch.look() as connection:
            if not await has_unjudged(connection):
                return
        for _ in range(_PAGES_MAX):
            if await self._judge_page() < PAGE:
                return

    async def _judge_page(self) -> int:
        now = self._clock()
        raised: Sequence[Raised] = ()
        try:
            async with self._watch.open() as connection:
                progress = await lock_progress(connection)
                self._memory.agree(progress)
                page = await self._page(connection, progress, now)
                if page:
                    found = await self._find(connection, page, now)
                    raised = await raise_alerts(connection, found, now)
                    await note_judged(connection, page[-1].edge_no)
        except BaseException:
            self._memory.forget()
            raise
        if page:
            self._memory.note_judged(page[-1].edge_no)
        self._memory.shrink()
        EDGES_JUDGED.inc(len(page))
        _tell(raised)
        return len(page)

    async def _page(self, connection: asyncpg.Connection, progress: Progress, now: datetime) -> list[Edge]:
        settled_before = now - SETTLED_AFTER
        page = self._memory.waiting(progress, settled_before=settled_before, now=now, limit=PAGE)
        if page is not None:
            return page
        return await read_unjudged(connection, progress, settled_before=settled_before, now=now, limit=PAGE)

    async def _find(self, connection: asyncpg.Connection, page: Sequence[Edge], now: datetime) -> list[Found]:
        """Return what is found with everybody in these payments who may match a pattern."""
        parameters = await read_parameters(connection)
        suspects = await self._suspects(connection, page, bounds_of(parameters.values()), now)
        if not suspects:
            return []
        since = _since(page, suspects)
        user_ids = list(since)
        profiles = await read_profiles(connection, user_ids)
        up_to_no = page[-1].edge_no
        found: list[Found] = []
        for begin in range(0, len(user_ids), RECALLED_MAX):
            for user_id, ring in (await self._recall(connection, user_ids[begin : begin + RECALLED_MAX])).items():
                applied = _of_profile(parameters, profiles.get(user_id, DEFAULT_PROFILE))
                found += [
                    Found(one, applied.version, ring.proven.setdefault(one.typology, set()))
                    for one in find_patterns(user_id, ring, Due(since[user_id], up_to_no), applied)
                ]
                tally = self._memory.tallies.get(user_id)
                if tally is not None:
                    tally.count_anew(ring)
            self._memory.rings.shrink()
        return found

    async def _suspects(
        self, connection: asyncpg.Connection, page: Sequence[Edge], bounds: Bounds, now: datetime
    ) -> set[str | None]:
        """Return who sent something near a threshold, or may have received or passed on enough for a pattern."""
        tallies = self._memory.tallies
        missing = tallies.missing(page)
        if missing:
            for user_id, tally in await count_tallies(connection, missing, now):
                tallies.put(user_id, tally)
        suspects: set[str | None] = set()
        for edge in page:
            payer, payee = tallies.get(edge.payer_id), tallies.get(edge.payee_id)
            if payer is not None and (bounds.is_near(edge) or payer.reaches(bounds)):
                suspects.add(edge.payer_id)
            if payee is not None and payee.reaches(bounds):
                suspects.add(edge.payee_id)
        return suspects

    async def _recall(self, connection: asyncpg.Connection, user_ids: Sequence[str]) -> dict[str, Ring]:
        """Return everybody's newest payments, from memory or else from the table."""
        rings = self._memory.rings
        missing = [user_id for user_id in user_ids if rings.get(user_id) is None]
        if missing:
            rings.put(missing, *await read_newest(connection, missing))
        return {user_id: ring for user_id in user_ids if (ring := rings.get(user_id)) is not None}


def _since(page: Sequence[Edge], suspects: Collection[str | None]) -> dict[str, int]:
    """Return each suspect → when the earliest of these payments that he is in was posted, µs."""
    since: dict[str, int] = {}
    for edge in page:
        for user_id in (edge.payer_id, edge.payee_id):
            if user_id is not None and user_id in suspects:
                since[user_id] = min(edge.posted_us, since.get(user_id, edge.posted_us))
    return since


def _of_profile(parameters: dict[str, AmlParameters], profile: str) -> AmlParameters:
    return parameters.get(profile) or parameters[DEFAULT_PROFILE]


def _tell(raised: Sequence[Raised]) -> None:
    """Log and count what was raised. No line says whom it is about: logs are read by more people than alerts."""
    for one in raised:
        ALERTS.labels(one.finding.typology, "opened" if one.is_new else "joined").inc()
        if one.is_new:
            log.info("alert_opened", alert_id=one.alert_id, typology=one.finding.typology)
