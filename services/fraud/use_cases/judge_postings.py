"""Judge postings: look through the customers who paid or were paid, and raise alerts for what is found."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import asyncpg
import structlog

from libs.common.clock import Clock
from services.fraud.domain.aml_edges import Due, Edge, Finding, Ring
from services.fraud.domain.aml_parameters import AmlParameters
from services.fraud.domain.aml_typologies import find_patterns
from services.fraud.domain.policy import DEFAULT_PROFILE
from services.fraud.metrics import ALERTS, EDGES_JUDGED
from services.fraud.store.aml_alerts import Raised, raise_alerts
from services.fraud.store.aml_edges import (
    has_unjudged,
    lock_progress,
    note_judged,
    read_newest,
    read_profiles,
    read_unjudged,
)
from services.fraud.store.aml_parameters import read_parameters
from services.fraud.store.aml_rings import Rings
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

    def __init__(self, watch: Watch, rings: Rings, *, clock: Clock) -> None:
        """Share connection and memory with what hears postings."""
        self._watch = watch
        self._rings = rings
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
                page = await read_unjudged(
                    connection, progress, settled_before=now - SETTLED_AFTER, now=now, limit=PAGE
                )
                if page:
                    self._rings.agree(progress.heard_up_to)
                    findings = await self._find(connection, page)
                    raised = await raise_alerts(connection, findings, now)
                    await note_judged(connection, page[-1].edge_no)
        except BaseException:
            self._rings.forget()
            raise
        EDGES_JUDGED.inc(len(page))
        _tell(raised)
        return len(page)

    async def _find(self, connection: asyncpg.Connection, page: Sequence[Edge]) -> list[tuple[Finding, int]]:
        """Return what is found with everybody in these payments, and by which version of the parameters."""
        since = _since(page)
        user_ids = list(since)
        parameters = await read_parameters(connection)
        profiles = await read_profiles(connection, user_ids)
        up_to_no = page[-1].edge_no
        found: list[tuple[Finding, int]] = []
        for begin in range(0, len(user_ids), RECALLED_MAX):
            for user_id, ring in (await self._recall(connection, user_ids[begin : begin + RECALLED_MAX])).items():
                applied = _of_profile(parameters, profiles.get(user_id, DEFAULT_PROFILE))
                due = Due(since[user_id], up_to_no)
                found.extend((one, applied.version) for one in find_patterns(user_id, ring, due, applied))
            self._rings.shrink()
        return found

    async def _recall(self, connection: asyncpg.Connection, user_ids: Sequence[str]) -> dict[str, Ring]:
        """Return everybody's newest payments, from memory or else from the table."""
        missing = [user_id for user_id in user_ids if self._rings.get(user_id) is None]
        if missing:
            self._rings.put(missing, *await read_newest(connection, missing))
        return {user_id: ring for user_id in user_ids if (ring := self._rings.get(user_id)) is not None}


def _since(page: Sequence[Edge]) -> dict[str, int]:
    """Return everybody in these payments → when the earliest that he is in was posted, µs."""
    since: dict[str, int] = {}
    for edge in page:
        for user_id in (edge.payer_id, edge.payee_id):
            if user_id is not None:
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
