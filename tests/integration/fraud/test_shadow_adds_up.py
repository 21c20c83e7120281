"""What a comparison says adds up to the decisions it speaks of, whatever was judged, dropped and lost."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from services.fraud.domain.replay import replay
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.stored_features import Features
from services.fraud.use_cases.keep_for_shadow import WAITING_MAX
from tests.integration.fraud.office import Office
from tests.integration.fraud.random_decisions import RULES, decide_at_random
from tests.integration.fraud.rulebook import end_rulesets
from tests.integration.fraud.shadow_room import ShadowRoom, shadow_room

YEAR = 2023
"""This file's own: other tests decide in others."""
HOUR = timedelta(hours=1)
STRICT = RULES.replace("block_from: 100", "block_from: 50").replace("typology: scam", "typology: mule")
LENIENT = RULES.replace("review_from: 50", "review_from: 100").replace("block_from: 100", "block_from: 300")
FAR = datetime.max.replace(tzinfo=UTC)
NAMES = ("live", "hits", "muted", "errors")
_ROWS = """
    SELECT d.*, s.live_verdict, s.verdict AS shadow, s.code AS shadow_code, s.points, s.hits, s.muted, s.errors,
           s.live_hits, s.usd_minor AS shadow_usd, s.decided_at AS shadow_at
    FROM fraud.decisions d
    LEFT JOIN fraud.shadow_decisions s ON s.transfer_id = d.transfer_id AND s.ruleset = $3
    WHERE d.decided_at >= $1 AND d.decided_at < $2
"""


@dataclass
class Found:
    """What is counted in the tables: (…, "usd") are US cents."""

    counts: Counter[Any] = field(default_factory=Counter)
    cells: Counter[Any] = field(default_factory=Counter)
    rules: Counter[Any] = field(default_factory=Counter)
    differing: set[str] = field(default_factory=set)


class Story:
    """Days of decisions, with two sets that come into the shadow and leave it, and what became of each decision."""

    def __init__(self, room: ShadowRoom, dice: Random) -> None:
        self.room = room
        self.dice = dice
        self.spans: dict[int, list[tuple[datetime, datetime | None]]] = {}
        self.dropped: Counter[tuple[int, datetime]] = Counter()

    async def move(self, version: int) -> None:
        spans = self.spans.setdefault(version, [])
        if spans and spans[-1][1] is None:
            await self.room.move(version, "unshadow")
            spans[-1] = (spans[-1][0], self.room.office.now)
        else:
            await self.room.move(version, "shadow")
            spans.append((self.room.office.now, None))

    async def go_on(self, begins_at: datetime) -> None:
        office, queue = self.room.office, self.room.office.screen.shadows
        fate = self.dice.choice(["judged", "judged", "dropped", "lost"])
        taken = WAITING_MAX if fate == "dropped" else 0
        queue._decisions += taken
        await decide_at_random(office, self.dice, begins_at=begins_at, days=1)
        queue._decisions -= taken
        if fate == "lost":
            while page := queue.oldest():
                queue.done(page)
        for key, (decisions, _) in queue._dropped.items():
            self.dropped[key.ruleset, key.hour] += decisions
        while len(queue) or queue._dropped:
            await self.room.judge()


@pytest.mark.parametrize("seed", [20230101, 20230201, 20230301])
async def test_any_range_adds_up_to_the_decisions_judged(
    office: Office, fraud_admin_dsn: str, tmp_path: Path, seed: int
) -> None:
    dice = Random(seed)
    begins_at = datetime(YEAR, seed // 100 % 100, 1, tzinfo=UTC)
    await end_rulesets(fraud_admin_dsn)
    async with shadow_room(office, fraud_admin_dsn, tmp_path) as room:
        office.now = begins_at
        live, *candidates = [await room.write(rules) for rules in (RULES, STRICT, LENIENT)]
        await room.put_live(live)
        rulesets = dict(zip(candidates, (STRICT, LENIENT), strict=True))
        story = Story(room, dice)
        for day in range(8):
            office.now = begins_at + timedelta(days=day)
            for version in candidates:
                if day == 0 or dice.random() < 0.4:
                    office.pass_time(minutes=dice.randrange(1, 20))
                    await story.move(version)
            await story.go_on(office.now)
        seen: Counter[str] = Counter()
        for version, document in rulesets.items():
            ruleset = Ruleset(version, read_ruleset(document))
            for _ in range(8):
                first, last = sorted(begins_at.date() + timedelta(days=dice.randrange(-1, 10)) for _ in range(2))
                said = await room.compare(version, first, last)
                await _check(story, ruleset, said, await room.changed(version, first, last, limit=7), first, last)
                seen.update({part: said[part]["decisions"] for part in ("judged", "changed", "dropped", "missing")})
    await end_rulesets(fraud_admin_dsn)
    assert all(seen[part] for part in ("judged", "changed", "dropped")), seen


async def _check(
    story: Story, ruleset: Ruleset, said: dict[str, Any], changed: list[dict[str, Any]], first: date, last: date
) -> None:
    """Compare what was said with a count of the tables, decision by decision."""
    begins_at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    ends_before = begins_at + timedelta(days=(last - first).days + 1)
    found = await _count(story, ruleset, begins_at, ends_before)
    dropped = sum(
        decisions
        for (version, hour), decisions in story.dropped.items()
        if version == ruleset.version and begins_at <= hour < ends_before
    )
    for part in ("made", "judged", "changed"):
        assert said[part] == {"decisions": found.counts[part], "usd_minor": found.counts[part, "usd"]}, part
    unjudged = found.counts["missing"] + found.counts["undetermined"]
    assert said["dropped"]["decisions"] == dropped
    assert said["missing"]["decisions"] + said["undetermined"]["decisions"] == unjudged - dropped
    if not dropped:
        assert said["missing"]["decisions"] == found.counts["missing"]
    for unit in ("decisions", "usd_minor"):
        known = ("judged", "failed", "dropped", "missing", "undetermined")
        assert said["made"][unit] == sum(said[part][unit] for part in known)
        assert said["judged"][unit] == sum(one[unit] for one in said["by_verdict"])
    for part in ("made", "judged", "changed", "dropped"):
        assert sum(one[part] for one in said["by_hour"]) == said[part]["decisions"]
    assert _said(((one["live_verdict"], one["shadow_verdict"]), one) for one in said["by_verdict"]) == found.cells
    by_rule = [
        ((one["rule_id"], name), one[name]) for one in said["by_rule"] for name in NAMES if one[name]["decisions"]
    ]
    assert _said(by_rule) == found.rules
    assert {one["transfer_id"] for one in changed} == found.differing
    assert len(changed) == len(found.differing)
    assert [one["decided_at"] for one in changed] == sorted((one["decided_at"] for one in changed), reverse=True)


async def _count(story: Story, ruleset: Ruleset, begins_at: datetime, ends_before: datetime) -> Found:
    found, spans = Found(), story.spans[ruleset.version]
    for row in await story.room.office.query(_ROWS, begins_at, ends_before, ruleset.version):
        hour, usd_minor = row["decided_at"].replace(minute=0, second=0, microsecond=0), row["usd_minor"]
        is_judged = row["shadow"] is not None
        if not is_judged and not any(begin < hour + HOUR and (end or FAR) > hour for begin, end in spans):
            continue
        _add(found.counts, "made", usd_minor)
        if is_judged:
            _replay(found, row, ruleset)
        else:
            is_whole = any(begin <= hour and (end or FAR) >= hour + HOUR for begin, end in spans)
            _add(found.counts, "missing" if is_whole else "undetermined", usd_minor)
    return found


def _replay(found: Found, row: Any, ruleset: Ruleset) -> None:
    """Judge once more what was judged, and count what it says."""
    features, usd_minor = msgspec.json.decode(row["features"], type=Features), row["usd_minor"]
    ruling, outcome = replay(features, row["code"], ruleset)
    assert (row["shadow"], row["shadow_code"], row["points"]) == (ruling.verdict, ruling.code, outcome.points)
    assert (row["live_verdict"], row["shadow_usd"], row["shadow_at"]) == (row["verdict"], usd_minor, row["decided_at"])
    said = (features.hits, outcome.hits, outcome.muted, outcome.errors)
    assert tuple(tuple(row[part]) for part in ("live_hits", "hits", "muted", "errors")) == said
    _add(found.counts, "judged", usd_minor)
    _add(found.cells, (row["verdict"], ruling.verdict), usd_minor)
    if row["verdict"] != ruling.verdict:
        _add(found.counts, "changed", usd_minor)
        found.differing.add(str(row["transfer_id"]))
    for name, rule_ids in zip(NAMES, said, strict=True):
        for rule_id in rule_ids:
            _add(found.rules, (rule_id, name), usd_minor)


def _add(counts: Counter[Any], key: Any, usd_minor: int) -> None:
    counts[key] += 1
    counts[key, "usd"] += usd_minor


def _said(parts: Iterable[tuple[tuple[str, str], dict[str, int]]]) -> Counter[Any]:
    found = Counter[Any]()
    for key, one in parts:
        found[key], found[key, "usd"] = one["decisions"], one["usd_minor"]
    return found
