"""Judge decisions once more, by the rule sets in the shadow: after their commit, and never instead of the next one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.fraud.domain.replay import replay
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.stored_features import Features
from services.fraud.metrics import SHADOW_JUDGED
from services.fraud.store.decisions import NewDecision
from services.fraud.store.shadow_decisions import NewShadowDecision, count_dropped, keep_shadow_decisions
from services.fraud.use_cases.keep_for_shadow import ShadowQueue, Waiting

log = structlog.get_logger()

JUDGE_SHADOWS_SECONDS: Final = 0.25
CHUNK_SECONDS: Final = 0.002
"""How long it holds the event loop that decides; then that has twice as long to itself, whatever waits here."""
_PAUSE_SECONDS: Final = 2 * CHUNK_SECONDS
_PAGES_MAX: Final = 20
"""In one round: what was dropped meanwhile is told after it, however much goes on coming."""
_FINISH_SECONDS: Final = 2.0

_decode: Final = msgspec.json.Decoder(Features).decode


class JudgeInShadow:
    """Empties the queue, a page at a time, on a connection of its own.

    Idempotent by: rule set and decision. Raises: Unavailable; what was not written waits on.
    """

    def __init__(
        self, queue: ShadowQueue, hot: HotConnection, *, lane: int, monotonic: Callable[[], float] = monotonic_seconds
    ) -> None:
        """Use this connection, not the one that decides; count in this `lane`, of `store/counts.py`."""
        self._queue = queue
        self._hot = hot
        self._lane = lane
        self._monotonic = monotonic
        self._told: set[int] = set()

    async def __call__(self) -> None:
        """Judge what waits, twenty pages at most, and count what was dropped."""
        for _ in range(_PAGES_MAX):
            page = self._queue.oldest()
            if not page:
                break
            said = await self._judge(page)
            try:
                async with self._hot.autocommit() as connection:
                    await keep_shadow_decisions(connection, said, lane=self._lane)
            except Unavailable:
                raise
            except Exception:
                # These cannot be written, whatever the reason: those behind them can.
                self._queue.give_up(page)
                raise
            self._queue.done(page)
            errors = sum(one.verdict == "error" for one in said)
            SHADOW_JUDGED.labels("judged").inc(len(said) - errors)
            SHADOW_JUDGED.labels("error").inc(errors)
        # Taken before it is written: should nobody know whether it was, a count too low shows as decisions that were
        # not judged, and one too high would hide some.
        if dropped := self._queue.take_dropped():
            log.warning("shadow_decisions_dropped", decisions=sum(decisions for decisions, _ in dropped.values()))
            async with self._hot.autocommit() as connection:
                await count_dropped(connection, dropped, lane=self._lane)

    async def finish(self) -> None:
        """Judge what still waits when a process ends, for two seconds at most; the rest is lost."""
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                await self()
                while self._queue:
                    await self()
        except (TimeoutError, Unavailable):
            log.warning("shadow_queue_lost", decisions=len(self._queue))

    async def _judge(self, page: Sequence[Waiting]) -> list[NewShadowDecision]:
        said: list[NewShadowDecision] = []
        began = self._monotonic()
        for shadows, decisions in page:
            for decision in decisions:
                features = _decode(decision.features)
                said += [self._judge_one(decision, features, shadow) for shadow in shadows]
                if self._monotonic() - began > CHUNK_SECONDS:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    began = self._monotonic()
        return said

    def _judge_one(self, decision: NewDecision, features: Features, shadow: Ruleset) -> NewShadowDecision:
        try:
            ruling, outcome = replay(features, decision.code, shadow)
        except Exception as failure:  # noqa: BLE001 -- a set that nobody has put live may do what nobody foresaw
            if shadow.version not in self._told:
                self._told.add(shadow.version)
                log.warning("shadow_ruleset_failed", ruleset=shadow.version, failure=type(failure).__name__)
            return NewShadowDecision(decision.transfer_id, shadow.version, "error")
        return NewShadowDecision(
            transfer_id=decision.transfer_id,
            ruleset=shadow.version,
            verdict=ruling.verdict,
            code=ruling.code,
            points=outcome.points,
            hits=",".join(outcome.hits),
            muted=",".join(outcome.muted),
            errors=",".join(outcome.errors),
            live_hits=",".join(features.hits),
        )
