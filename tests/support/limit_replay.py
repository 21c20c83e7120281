"""Every stored decision about a customer's limits, made again in the plainest way: by counting his whole history.

Nothing of the service is used. The order is that of the row versions the service stored: decision by decision, release
by release, as if one process had done it all, one thing after the other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import asyncpg

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)
NAMES: Final = ("min_minor", "max_minor", "day_sum_minor", "hour_count", "day_count")
PUBLIC: Final = ("minimum_amount", "maximum_amount", "daily_amount", "hourly_count", "daily_count")
LIMIT_CODES: Final = {
    "minimum_amount": "amount_below_minimum",
    "maximum_amount": "amount_limit_exceeded",
    "daily_amount": "daily_amount_limit_exceeded",
    "hourly_count": "hourly_count_limit_exceeded",
    "daily_count": "daily_count_limit_exceeded",
}
Row = Mapping[str, Any]
Limits = dict[str, tuple[int, str]]
"""Public name → the bound and whose it is."""

_DECISIONS: Final = """
    SELECT transfer_id::text, decision_id::text, user_id::text, verdict, code, usd_minor, decided_at,
           convert_from(features, 'UTF8') AS features, convert_from(facts, 'UTF8') AS facts
    FROM fraud.decisions WHERE user_id = $1::uuid
"""
_RELEASES: Final = """
    SELECT transfer_id::text, user_id::text, user_version, released_at, reason
    FROM fraud.limit_releases WHERE user_id = $1::uuid
"""
_LATE: Final = """
    SELECT transfer_id::text, user_id::text, user_version, usd_minor, taken_at
    FROM fraud.late_slots WHERE user_id = $1::uuid
"""
_PERSONAL: Final = "SELECT * FROM fraud.personal_limits WHERE user_id = $1::uuid"


@dataclass
class Counted:
    """How much was replayed."""

    decisions: int = 0
    by_code: dict[str, int] = field(default_factory=dict)
    released: int = 0
    late_slots: int = 0
    late_rejections: int = 0


@dataclass
class _Slot:
    at: datetime
    usd_minor: int
    transfer_id: str


@dataclass
class _Tables:
    decisions: list[Row]
    releases: list[Row]
    late: list[Row]
    personal: list[Row]
    policy: dict[tuple[str, str, int], Row]


async def replay(connection: asyncpg.Connection, user_ids: Sequence[str]) -> Counted:
    """Decide again on everything these customers ever sent; AssertionError where a stored decision differs."""
    counted = Counted()
    versions = await connection.fetch("SELECT * FROM fraud.limit_versions")
    policy = {(row["kind"], row["subject"], row["version"]): row for row in versions}
    for user_id in user_ids:
        tables = _Tables(
            decisions=await _of_customer(connection, _DECISIONS, user_id),
            releases=await _of_customer(connection, _RELEASES, user_id),
            late=await _of_customer(connection, _LATE, user_id),
            personal=await _of_customer(connection, _PERSONAL, user_id),
            policy=policy,
        )
        _History(tables, counted).replay()
    return counted


async def _of_customer(connection: asyncpg.Connection, query: str, user_id: str) -> list[Row]:
    return [dict(row.items()) for row in await connection.fetch(query, user_id)]


class _History:
    def __init__(self, tables: _Tables, counted: Counted) -> None:
        self.tables = tables
        self.counted = counted
        self.slots: list[_Slot] = []
        self.latest: datetime | None = None
        self.decisions = [
            dict(row) | {"features": json.loads(row["features"]), "facts": json.loads(row["facts"] or "{}")}
            for row in tables.decisions
        ]
        self.by_id = {one["transfer_id"]: one for one in self.decisions}
        self.releases = tables.releases
        self.late = tables.late
        self.personal = sorted(tables.personal, key=lambda row: row["version"])
        self.refused = {row["transfer_id"] for row in self.releases if row["reason"] == "batch_refused"}

    def replay(self) -> None:
        events: list[tuple[int, int, str, Row]] = [
            *((one["features"].get("payer_version", 0), 0, one["decision_id"], one) for one in self.decisions),
            *((row["user_version"], 1, row["transfer_id"], row) for row in self.late),
            *((row["user_version"], 2, row["transfer_id"], row) for row in self.releases),
        ]
        events.sort(key=lambda event: event[:3])
        for _, same in groupby(events, key=lambda event: (event[0], event[1])):
            version_and_kind = list(same)
            match version_and_kind[0][1]:
                case 0:
                    self._decide([event[3] for event in version_and_kind])
                case 1:
                    for event in version_and_kind:
                        self._take_late(event[3])
                case _:
                    for event in version_and_kind:
                        self._release(event[3])

    def _decide(self, decisions: Iterable[Row]) -> None:
        """Of an atomic batch each member sees those before it; unless all are approved, none keeps its slot."""
        for batch_id, members in groupby(decisions, key=lambda one: one["features"].get("batch_id")):
            together = list(members)
            for one in together:
                self._decide_one(one)
            if batch_id is not None and any(one["transfer_id"] in self.refused for one in together):
                mine = {one["transfer_id"] for one in together}
                kept = [one for one in together if one["verdict"] != "block" and one["transfer_id"] not in self.refused]
                assert kept == [], "none of a refused batch keeps its slot"
                self.slots = [slot for slot in self.slots if slot.transfer_id not in mine]

    def _decide_one(self, one: Row) -> None:
        features, at = one["features"], one["decided_at"]
        self._move_to(at)
        day, hour = self._counted(at)
        used = _used(day, hour)
        seen = {
            "daily_amount": features.get("day_sum_minor", 0),
            "hourly_count": features.get("hour_count", 0),
            "daily_count": features.get("day_count", 0),
        }
        assert seen == used, ("what was used", one["transfer_id"], seen, used)
        limits = self._limits_of(features)
        expected = "" if features.get("payer_tier", 0) else "kyc_required"
        broken = None if expected else _broken(limits, used, one["usd_minor"])
        if broken is not None:
            expected = LIMIT_CODES[broken]
            self._expect_facts(one, broken, limits, used, at)
        limit_code = one["code"] if one["code"] in {*LIMIT_CODES.values(), "kyc_required"} else ""
        assert limit_code == expected, ("decided otherwise", one["transfer_id"], one["code"], expected, used, limits)
        if one["verdict"] != "block":
            self.slots.append(_Slot(at, one["usd_minor"], one["transfer_id"]))
        self.counted.decisions += 1
        name = one["code"] or one["verdict"]
        self.counted.by_code[name] = self.counted.by_code.get(name, 0) + 1

    def _expect_facts(self, one: Row, broken: str, limits: Limits, used: Mapping[str, int], at: datetime) -> None:
        facts = one["facts"]
        unit = "count" if broken.endswith("count") else "minor"
        assert (facts["limit"], facts[f"limit_{unit}"], facts["set_by"]) == (broken, *limits[broken])
        assert facts["requested_minor"] == one["usd_minor"]
        if broken in used:
            assert facts[f"used_{unit}"] == used[broken]
            resets_at = facts.get("resets_at")
            assert resets_at == _text(self._resets_at(broken, limits[broken][0], one["usd_minor"], at)), one
        else:
            assert "resets_at" not in facts

    def _resets_at(self, broken: str, allowed: int, usd_minor: int, at: datetime) -> datetime | None:
        """Look at the moments at which a slot expires, one after the other, until this transfer would pass."""
        day, hour = self._counted(at)
        slots, window = (hour, HOUR) if broken == "hourly_count" else (day, DAY)
        for place, slot in enumerate(slots):
            left = slots[place + 1 :]
            if broken == "daily_amount":
                fits = sum(one.usd_minor for one in left) + usd_minor <= allowed
            else:
                fits = len(left) + 1 <= allowed
            if fits:
                return slot.at + window
        return None

    def _take_late(self, row: Row) -> None:
        self._move_to(row["taken_at"])
        broken = self._broken_by_late(self.by_id[row["transfer_id"]], row["user_version"], row["taken_at"], widest=True)
        assert broken is None, ("a late slot that no limit allowed", row, broken)
        assert row["transfer_id"] not in {slot.transfer_id for slot in self._counted(row["taken_at"])[0]}
        self.slots = [slot for slot in self.slots if slot.transfer_id != row["transfer_id"]]
        self.slots.append(_Slot(row["taken_at"], row["usd_minor"], row["transfer_id"]))
        self.counted.late_slots += 1

    def _release(self, row: Row) -> None:
        if row["reason"] == "batch_refused":
            return
        if row["reason"] in LIMIT_CODES.values():
            at = max(row["released_at"], self.latest or row["released_at"])
            one = self.by_id[row["transfer_id"]]
            assert self._broken_by_late(one, row["user_version"], at, widest=False), ("a hold ended in vain", row)
            self.counted.late_rejections += 1
        self.slots = [slot for slot in self.slots if slot.transfer_id != row["transfer_id"]]
        self.counted.released += 1

    def _broken_by_late(self, one: Row, user_version: int, at: datetime, *, widest: bool) -> str | None:
        """Say what a slot taken now would break.

        Which versions of profile and tier were looked at is not stored with it: the widest must allow what was taken,
        the narrowest forbid what was not.
        """
        day, hour = self._counted(at)
        used = _used(day, hour)
        profile = one["features"]["profile"]
        rows = [
            row for (kind, subject, _), row in self.tables.policy.items() if (kind, subject) == ("profile", profile)
        ]
        limits: Limits = {}
        for name, column in zip(PUBLIC, NAMES, strict=True):
            choose = max if widest != (column == "min_minor") else min
            limits[name] = (choose(row[column] for row in rows), "profile")
        if not widest:
            tiers = [row for (kind, _, _), row in self.tables.policy.items() if kind == "tier"]
            for row in tiers:
                limits = _narrower(limits, row, "tier")
        personal = self._personal_before(user_version)
        if personal is not None:
            limits = _narrower(limits, personal, "personal")
        return _broken(limits, used, one["usd_minor"])

    def _limits_of(self, features: Row) -> Limits:
        """Narrow what the decision says it looked at, and see that it looked at the newest of the person's own."""
        policy = self.tables.policy
        row = policy["profile", features["profile"], features["limits_version"]]
        limits: Limits = {name: (row[column], "profile") for name, column in zip(PUBLIC, NAMES, strict=True)}
        if features.get("tier_limits_version", 0):
            tier = policy["tier", str(features.get("payer_tier", 0)), features.get("tier_limits_version", 0)]
            limits = _narrower(limits, tier, "tier")
        personal = self._personal_before(features.get("payer_version", 0))
        assert features.get("personal_version", 0) == (0 if personal is None else personal["version"]), "an old limit"
        return limits if personal is None else _narrower(limits, personal, "personal")

    def _personal_before(self, user_version: int) -> Row | None:
        before = [row for row in self.personal if row["user_version"] < user_version]
        return before[-1] if before else None

    def _counted(self, at: datetime) -> tuple[list[_Slot], list[_Slot]]:
        """Return the slots of the day and of the hour before this moment, the oldest first."""
        day = [slot for slot in self.slots if at - DAY < slot.at <= at]
        return day, [slot for slot in day if at - HOUR < slot.at]

    def _move_to(self, at: datetime) -> None:
        assert self.latest is None or self.latest <= at, "a customer's time never goes back"
        self.latest = at
        # What has left the window never comes back, so that a long history costs what a day of it does.
        self.slots = [slot for slot in self.slots if at - DAY < slot.at]


def _used(day: Sequence[_Slot], hour: Sequence[_Slot]) -> dict[str, int]:
    return {
        "daily_amount": sum(slot.usd_minor for slot in day),
        "hourly_count": len(hour),
        "daily_count": len(day),
    }


def _broken(limits: Limits, used: Mapping[str, int], usd_minor: int) -> str | None:
    for name in PUBLIC:
        bound = limits[name][0]
        match name:
            case "minimum_amount":
                breaks = usd_minor < bound
            case "maximum_amount":
                breaks = usd_minor > bound
            case "daily_amount":
                breaks = used[name] + usd_minor > bound
            case _:
                breaks = used[name] + 1 > bound
        if breaks:
            return name
    return None


def _narrower(limits: Limits, row: Row, whose: str) -> Limits:
    result = dict(limits)
    for name, column in zip(PUBLIC, NAMES, strict=True):
        bound = row[column]
        if bound is not None and (bound > result[name][0] if column == "min_minor" else bound < result[name][0]):
            result[name] = (bound, whose)
    return result


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
