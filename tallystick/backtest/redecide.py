"""Reads stored decisions hour by hour and makes each again by other rules."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.http.days import Days
from services.fraud.domain.replay import FeaturesMissing, replay
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.screening import BLOCKED_BY_RULES
from services.fraud.domain.stored_features import Features
from tallystick.backtest.comparison import Comparison

_PAGE: Final = 2_000
_HOURS: Final = """
    SELECT hour, sum(decisions)::bigint FROM fraud.decision_counts WHERE hour >= $1 AND hour < $2
    GROUP BY hour ORDER BY hour
"""
# An hour is a run of blocks, which the index by time finds; the cursor holds a page of it.
_DECISIONS: Final = """
    SELECT transfer_id::text, verdict, code, reasons, usd_minor, features, decided_at FROM fraud.decisions
    WHERE decided_at >= $1 AND decided_at < $2
"""
_decode: Final = msgspec.json.Decoder(Features).decode

Progress = Callable[[int, int], None]
"""Told how many are done, of how many."""


async def redecide(dsn: str, ruleset: Ruleset, days: Days, progress: Progress) -> Comparison:
    """Return how the rules compare with what was decided in these days. Nothing is written.

    It takes SELECT on `fraud.decisions` and `fraud.decision_counts`, and nothing else.
    """
    comparison = Comparison()
    connection = await asyncpg.connect(dsn)
    try:
        hours = [tuple(row) for row in await connection.fetch(_HOURS, *days)]
        of, done = sum(decisions for _, decisions in hours), 0
        for hour, decisions in hours:
            await _redecide_hour(connection, ruleset, hour, comparison)
            done += decisions
            progress(done, of)
    finally:
        await connection.close()
    return comparison


async def _redecide_hour(
    connection: asyncpg.Connection, ruleset: Ruleset, hour: datetime, comparison: Comparison
) -> None:
    # tidy: allow commit-outside-unit-of-work: a cursor needs a transaction, and this one reads only
    async with connection.transaction(readonly=True):
        rows = connection.cursor(_DECISIONS, hour, hour + timedelta(hours=1), prefetch=_PAGE)
        async for transfer_id, verdict, code, reasons, usd_minor, stored, decided_at in rows:
            features = _decode(stored)
            try:
                ruling, outcome = replay(features, code, ruleset)
            except FeaturesMissing:
                comparison.unjudged = comparison.unjudged.plus(usd_minor)
                continue
            comparison.add(
                transfer_id=transfer_id,
                day=decided_at.date(),
                usd_minor=usd_minor,
                old=verdict,
                new=ruling.verdict,
                old_hits=features.hits,
                alerted=(
                    _is_alert(code, reasons, denied=features.denied),
                    _is_alert(ruling.code, ruling.reasons, denied=features.denied),
                ),
                outcome=outcome,
            )


def _is_alert(code: str, reasons: list[str] | tuple[str, ...], *, denied: bool) -> bool:
    """Tell whether rules stopped it: a person looks at it, or they blocked it."""
    return "review" in reasons or code == BLOCKED_BY_RULES.code or (code == "transfer_not_permitted" and not denied)
