"""Rule sets in the shadow: what they would have decided is kept and compared, and decides nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.domain.ruleset_life import SHADOWS_MAX
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from services.fraud.metrics import SHADOW_DROPPED, SHADOW_JUDGED
from services.fraud.store.shadow_decisions import NewShadowDecision, keep_shadow_decisions
from services.fraud.use_cases.judge_in_shadow import JudgeInShadow
from services.fraud.use_cases.keep_for_shadow import WAITING_MAX
from tests.integration.fraud.office import Office, deposit, transfer
from tests.integration.fraud.random_decisions import RULES
from tests.integration.fraud.rulebook import end_rulesets, enter, put_in_shadow
from tests.integration.fraud.shadow_room import PATH, ShadowRoom, shadow_room
from tests.support.api_world import admin_connection

# A year of this file's own: other tests decide in others. Each test has a month.
YEAR = 2024
STRICT = RULES.replace("block_from: 100", "block_from: 50")
LENIENT = RULES.replace("review_from: 50", "review_from: 100").replace("block_from: 100", "block_from: 300")


class Broken(Ruleset):
    """A rule set that does what nobody foresaw."""

    def judge(self, *_: Any, **__: Any) -> NoReturn:
        message = "no rule set should"
        raise RuntimeError(message)


@pytest.fixture
async def room(office: Office, fraud_admin_dsn: str, tmp_path: Path) -> AsyncIterator[ShadowRoom]:
    await end_rulesets(fraud_admin_dsn)
    async with shadow_room(office, fraud_admin_dsn, tmp_path) as room:
        yield room
    await end_rulesets(fraud_admin_dsn)


def month(number: int) -> datetime:
    return datetime(YEAR, number, 1, 10, 20, tzinfo=UTC)


async def test_what_would_have_been_decided_is_kept_and_nobody_notices(office: Office, room: ShadowRoom) -> None:
    office.now = month(1)
    live, strict = await room.write(RULES), await room.write(STRICT)
    await room.put_live(live)
    before = transfer(new_id(), amount_minor=100_00)
    await office.ask(before)
    assert len(office.screen.shadows) == 0, "nothing is in the shadow"

    assert (await room.move(strict, "shadow"))["status"] == "shadow"
    office.pass_time(minutes=1)
    held, passed, blocked = (transfer(new_id(), amount_minor=amount) for amount in (100_00, 7_00, 500_00))
    booked = deposit(amount_minor=500_00)
    answers = await office.ask(held, passed, blocked, booked)
    assert [one.verdict for one in answers] == ["hold", "approve", "block", "approve"], "the live set alone decides"
    assert {one.ruleset for one in answers} == {live}
    await room.judge()

    said = await room.compare(strict, office.now.date(), office.now.date())
    assert {(one["live_verdict"], one["shadow_verdict"]): one["decisions"] for one in said["by_verdict"]} == {
        ("hold", "block"): 1,
        ("approve", "approve"): 2,
        ("block", "block"): 1,
    }
    assert (said["judged"], said["changed"]) == (
        {"decisions": 4, "usd_minor": 1107_00},
        {"decisions": 1, "usd_minor": 100_00},
    )
    assert (said["made"]["decisions"], said["undetermined"]["decisions"], said["missing"]["decisions"]) == (5, 1, 0)
    assert [(one["is_whole"], one["made"], one["judged"], one["changed"]) for one in said["by_hour"]] == [
        (False, 5, 4, 1)
    ]
    rules = {one["rule_id"]: one for one in said["by_rule"]}
    assert rules["round"]["live"] == rules["round"]["hits"] == {"decisions": 2, "usd_minor": 600_00}
    assert rules["large"]["hits"] == {"decisions": 1, "usd_minor": 500_00}
    [changed] = await room.changed(strict, office.now.date(), office.now.date())
    assert changed["transfer_id"] == held.transfer_id
    assert (changed["live_verdict"], changed["shadow_verdict"], changed["code"]) == (
        "hold",
        "block",
        "unusual_activity",
    )
    assert (changed["hits"], changed["live_hits"], changed["points"]) == (["round"], ["round"], 50)
    room.author = room.keys.bearer(held.payer.user_id if held.payer else "", "compliance")
    assert await room.changed(strict, office.now.date(), office.now.date()) == [], "nobody reads of his own"
    [screened] = await office.ask(held)
    assert screened.verdict == "hold", "what was decided stays"


async def test_a_set_leaves_the_shadow_by_being_put_live_or_taken_out(office: Office, room: ShadowRoom) -> None:
    office.now = month(2)
    first, second = await room.write(LENIENT), await room.write(STRICT)
    for version in (first, second):
        await room.move(version, "shadow")
    office.pass_time(hours=2)
    await room.put_live(first)
    assert (await room.move(second, "unshadow"))["status"] == "draft"
    await office.ask(transfer(new_id()))
    assert len(office.screen.shadows) == 0

    for version, ending in ((first, "live"), (second, "draft")):
        said = await room.compare(version, office.now.date(), office.now.date())
        assert said["status"] == ending
        assert said["in_shadow"] == [
            {"begins_at": "2024-02-01T10:20:00.000000Z", "ends_at": "2024-02-01T12:20:00.000000Z"}
        ]
        assert said["judged"]["decisions"] == 0
    events = (await room.http.get(f"{PATH}/{second}", headers=room.author)).json()["events"]
    assert [one["action"] for one in events] == ["drafted", "shadowed", "unshadowed"]
    audited = await office.query(
        "SELECT action FROM fraud.audit_log WHERE resource_id = $1 AND resource_type = 'ruleset' ORDER BY entry_id",
        str(second),
    )
    assert [row["action"] for row in audited][-2:] == ["ruleset.shadow", "ruleset.unshadow"]


async def test_lists_mute_in_the_shadow_as_they_do_beside_it(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    office.now = month(3)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    await office.ask(transfer(new_id(), amount_minor=1_00))
    payer, data = new_id(), office.screening._data
    await enter(fraud_admin_dsn, "snooze", "sender", payer, rule_id="round")
    office.screening.look_again()
    await office.ask(transfer(payer, amount_minor=100_00))
    await room.judge()
    assert office.screening._data is not None
    assert data is not None
    assert office.screening._data.version > data.version
    assert office.screening._data.shadows[0] is data.shadows[0], "it is not read again for an entry of a list"
    said = await room.compare(strict, office.now.date(), office.now.date())
    assert [(one["rule_id"], one["muted"]["decisions"], one["hits"]["decisions"]) for one in said["by_rule"]] == [
        ("round", 1, 0)
    ]
    assert said["changed"]["decisions"] == 0


async def test_a_shadow_that_fails_is_an_error_and_hinders_nobody(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    office.now = month(4)
    broken = await put_in_shadow(fraud_admin_dsn, RULES)
    sound = await put_in_shadow(fraud_admin_dsn, STRICT)
    await office.ask(transfer(new_id(), amount_minor=1_00))
    data = office.screening._data
    assert data is not None
    replaced = tuple(Broken(one.version, one.document) if one.version == broken else one for one in data.shadows)
    office.screening._data = data._replace(shadows=replaced)
    errors = SHADOW_JUDGED.labels("error")._value.get()

    with capture_logs() as logs:
        first, second = await office.ask(transfer(new_id()), transfer(new_id(), payee_tier=0))
        await room.judge()

    assert (first.verdict, second.verdict) == ("approve", "hold")
    today = office.now.date()
    said = await room.compare(broken, today, today)
    assert (said["failed"]["decisions"], said["judged"]["decisions"], said["by_rule"]) == (2, 1, [])
    assert said["made"]["decisions"] == 3, "what was judged was made, whatever the history of the set says"
    assert [one["shadow_verdict"] for one in await room.changed(broken, today, today)] == ["error", "error"]
    assert (await room.compare(sound, today, today))["judged"]["decisions"] == 3
    assert SHADOW_JUDGED.labels("error")._value.get() == errors + 2
    told = [(one["ruleset"], one["failure"]) for one in logs if one["event"] == "shadow_ruleset_failed"]
    assert told == [(broken, "RuntimeError")], "once is enough"


async def test_a_set_that_cannot_be_read_any_more_judges_nothing_and_keeps_nobody_waiting(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    office.now = month(5)
    version = await put_in_shadow(fraud_admin_dsn, RULES.replace("usd_minor > 40000", "gone_minor > 40000"))
    with capture_logs() as logs:
        [screened] = await office.ask(transfer(new_id()))
    assert screened.verdict == "approve"
    assert [one["ruleset"] for one in logs if one["event"] == "shadow_ruleset_unreadable"] == [version]
    assert len(office.screen.shadows) == 0


async def test_what_finds_no_room_is_counted_and_decided_all_the_same(office: Office, room: ShadowRoom) -> None:
    office.now = month(6)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    await office.ask(transfer(new_id()))
    queue = office.screen.shadows
    [waiting] = queue.oldest()
    queue.put(waiting.shadows, [*waiting.decisions] * (WAITING_MAX - 1))
    dropped = SHADOW_DROPPED._value.get()

    answers = await office.ask(transfer(new_id(), amount_minor=3_00), transfer(new_id(), amount_minor=4_00))

    assert [one.verdict for one in answers] == ["approve", "approve"]
    assert SHADOW_DROPPED._value.get() == dropped + 2
    queue.done([waiting])
    while page := queue.oldest():
        queue.done(page)
    with capture_logs() as logs:
        await room.judge()
    assert [one["decisions"] for one in logs if one["event"] == "shadow_decisions_dropped"] == [2]
    said = await room.compare(strict, office.now.date(), office.now.date())
    assert said["dropped"] == {"decisions": 2, "usd_minor": 7_00}
    assert (said["made"]["decisions"], said["judged"]["decisions"]) == (3, 0)


async def test_what_a_process_takes_with_it_is_missing_and_said_to_be(
    office: Office, second_office: Office, room: ShadowRoom
) -> None:
    office.now = month(7)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    office.pass_time(hours=2)
    second_office.now = office.now
    await office.ask(transfer(new_id()), transfer(new_id()))
    await second_office.ask(transfer(new_id(), amount_minor=9_00))
    await room.judge()  # the other one dies before it does the same

    said = await room.compare(strict, office.now.date(), office.now.date())

    assert (said["made"]["decisions"], said["judged"]["decisions"]) == (3, 2)
    assert (said["missing"], said["undetermined"]["decisions"]) == ({"decisions": 1, "usd_minor": 9_00}, 0)


async def test_a_process_that_ends_well_judges_what_waits(office: Office, room: ShadowRoom) -> None:
    office.now = month(8)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    for _ in range(3):
        await office.ask(*[transfer(new_id()) for _ in range(150)])
    await room.judge.finish()
    assert (await room.compare(strict, office.now.date(), office.now.date()))["judged"]["decisions"] == 450


async def test_a_database_that_is_away_loses_nothing_and_twice_counts_once(office: Office, room: ShadowRoom) -> None:
    office.now = month(9)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    command = transfer(new_id())
    await office.ask(command)
    nowhere = HotConnection("postgresql://127.0.0.1:1/nothing", "test")
    with pytest.raises(Unavailable):
        await JudgeInShadow(office.screen.shadows, nowhere, lane=0)()
    with capture_logs() as logs:
        await JudgeInShadow(office.screen.shadows, nowhere, lane=0).finish()
    assert [one["decisions"] for one in logs if one["event"] == "shadow_queue_lost"] == [1]

    await room.judge()
    async with office.hot.autocommit() as connection:
        await keep_shadow_decisions(connection, [NewShadowDecision(command.transfer_id, strict, "approve")], lane=0)
    said = await room.compare(strict, office.now.date(), office.now.date())
    assert [(one["shadow_verdict"], one["decisions"]) for one in said["by_verdict"]] == [("block", 1)]


async def test_what_cannot_be_written_makes_room_for_what_can(office: Office, room: ShadowRoom) -> None:
    office.now = month(10)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    unknown = Ruleset(2**31 - 1, read_ruleset(RULES))
    await office.ask(transfer(new_id()))
    queue = office.screen.shadows
    [waiting] = queue.oldest()
    queue.done([waiting])
    queue.put((unknown,), waiting.decisions)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await room.judge()
    assert len(queue) == 0
    queue.take_dropped()


async def test_whoever_decides_has_the_loop_between_two_decisions_judged(office: Office, room: ShadowRoom) -> None:
    office.now = month(11)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    await office.ask(*[transfer(new_id()) for _ in range(20)])
    turns, seconds = 0, 0.0

    def slow() -> float:
        nonlocal seconds
        seconds += 1.0
        return seconds

    async def decide() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    deciding = asyncio.create_task(decide())
    judge = JudgeInShadow(office.screen.shadows, room.office.hot, lane=0, monotonic=slow)
    said = await judge._judge(office.screen.shadows.oldest())
    deciding.cancel()
    assert len(said) == 20
    assert turns >= 20
    await room.judge()


async def test_as_many_as_may_are_in_the_shadow(office: Office, room: ShadowRoom) -> None:
    office.now = month(12)
    versions = [await room.write(STRICT) for _ in range(SHADOWS_MAX + 1)]
    for version in versions[:-1]:
        await room.move(version, "shadow")
    refused = await room.try_to_move(versions[-1], "shadow")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_shadows")
    again = (await room.try_to_move(versions[0], "shadow")).json()
    assert (again["code"], again["legal_actions"]) == ("ruleset_status", ["put_live", "unshadow"])
    assert (await room.try_to_move(versions[-1], "unshadow")).json()["code"] == "ruleset_status"
    assert (await room.try_to_move(2**31 - 1, "shadow")).json()["code"] == "ruleset_not_found"
    # High risk, and one person alone: for customers nothing changes.
    assert (await room.move(versions[0], "unshadow"))["risk"] == "high"


async def test_what_differs_is_listed_page_by_page(office: Office, room: ShadowRoom) -> None:
    office.now = month(1).replace(day=20)
    strict = await room.write(STRICT)
    await room.move(strict, "shadow")
    commands = [transfer(new_id(), amount_minor=100_00) for _ in range(5)]
    for command in commands[:3]:
        office.pass_time(minutes=5)
        await office.ask(command)
    await office.ask(*commands[3:])
    await room.judge()
    first = office.now.date()
    found = await room.changed(strict, first, first, limit=1)
    assert [one["transfer_id"] for one in found[2:]] == [one.transfer_id for one in reversed(commands[:3])]
    assert {one["transfer_id"] for one in found} == {one.transfer_id for one in commands}
    assert len(found) == 5
    later = first + timedelta(days=1)
    assert await room.changed(strict, later, later) == []
    cursor = (await room.ask(strict, "shadow/changed", first, first, limit=1)).json()["next"]
    other = await room.ask(strict, "shadow/changed", later, later, cursor=cursor)
    assert (other.status_code, other.json()["code"]) == (422, "cursor_invalid")


@pytest.mark.parametrize("what", ["shadow", "shadow/changed"])
async def test_a_wrong_question_is_refused(office: Office, room: ShadowRoom, what: str) -> None:
    version, day = await room.write(STRICT), month(1).date()
    for first, last, code in (
        (day, day - timedelta(days=1), "conflicting_parameters"),
        (day, day + timedelta(days=366), "period_too_long"),
    ):
        answer = await room.ask(version, what, first, last)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await room.ask(2**31 - 1, what, day, day)).json()["code"] == "ruleset_not_found"
    assert (await room.ask(2**31, what, day, day)).json()["code"] == "invalid_request"
    query = {"start_date": str(day), "end_date": str(day)}
    support = room.keys.bearer(new_id(), "support")
    refused = await room.http.get(f"{PATH}/{version}/{what}", headers=support, params=query)
    assert refused.json()["code"] == "role_required"


_ROW = """
    INSERT INTO fraud.shadow_decisions (ruleset, decision_id, transfer_id, live_verdict, verdict, code, points, hits,
                                        muted, errors, live_hits, usd_minor, decided_at)
    VALUES ({ruleset}, gen_random_uuid(), gen_random_uuid(), '{live}', '{verdict}', '{code}', {points}, '{hits}',
            '{{}}', '{{}}', '{{}}', {usd}, now())
"""
_SOUND = {
    "ruleset": "(SELECT max(version) FROM fraud.rulesets)",
    "live": "approve",
    "verdict": "approve",
    "code": "",
    "points": "0",
    "hits": "{}",
    "usd": "1",
}


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"ruleset": "1"}, "shadow_decisions_by_known"),
        ({"live": "error"}, "shadow_decisions_live_verdict_known"),
        ({"verdict": "review"}, "shadow_decisions_verdict_known"),
        ({"code": "unusual_activity"}, "shadow_decisions_block_has_code"),
        ({"verdict": "error", "points": "1"}, "shadow_decisions_error_says_nothing"),
        ({"points": "-1"}, "shadow_decisions_bounded"),
        ({"usd": "-1"}, "shadow_decisions_bounded"),
    ],
    ids=["rules", "live", "verdict", "code", "error", "points", "worth"],
)
async def test_the_table_refuses_what_no_shadow_says(
    office: Office, room: ShadowRoom, wrong: dict[str, str], constraint: str
) -> None:
    await room.write(STRICT)
    await office.query(_ROW.format(**_SOUND))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await office.query(_ROW.format(**_SOUND | wrong))
    assert refused.value.constraint_name == constraint


async def test_what_was_said_in_the_shadow_is_never_changed(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    await room.write(STRICT)
    await office.query(_ROW.format(**_SOUND))
    async with admin_connection(fraud_admin_dsn) as admin:
        for statement in ("UPDATE fraud.shadow_decisions SET points = 1", "DELETE FROM fraud.shadow_decisions"):
            with pytest.raises(asyncpg.CheckViolationError, match="INSERT only"):
                await admin.execute(statement)
        for _ in range(SHADOWS_MAX):
            await put_in_shadow(fraud_admin_dsn, STRICT)
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await put_in_shadow(fraud_admin_dsn, STRICT)
        assert refused.value.constraint_name == "rulesets_shadows_bounded"
    for statement in ("UPDATE fraud.shadow_decisions SET points = 1", "DELETE FROM fraud.shadow_counts"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await office.query(statement)
