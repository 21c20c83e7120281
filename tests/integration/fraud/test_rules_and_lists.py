"""Rules, lists and freezes decide with the limits: from the next decision on, in every process, and as it is stored."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import msgspec
import pytest

from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.domain.features import PLACES
from services.fraud.domain.stored_features import Features
from services.fraud.use_cases.publish_shipped_rules import PublishShippedRules
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import NOON, Office, deposit, transfer, withdrawal
from tests.support.api_world import ROLE_PASSWORD, migrated_database
from tests.support.rulesets_in_force import put_in_force

RULES = """
name: tried
review_from: 100
block_from: 200
rules:
{rules}
"""
RULE = """
- id: {id}
  title: Tried
  when: {when}
  message: "{{usd_minor}} cents"
  typology: {typology}
  {does}
  examples:
  - {{given: {{{hits}}}, hits: true}}
  - {{given: {{}}, hits: false}}
"""


def rule(name: str, when: str, *, hits: str, does: str, typology: str = "other") -> str:
    return RULE.format(id=name, when=when, hits=hits, does=does, typology=typology)


@pytest.fixture(scope="module")
def own_admin_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give a database of its own: what these tests put live would decide on the transfers of all others."""
    with migrated_database(postgres_dsn, "fraud") as dsn:
        yield dsn


@pytest.fixture
async def office(own_admin_dsn: str) -> AsyncIterator[Office]:
    async with Office(dsn_of_role(own_admin_dsn, "tallystick_fraud", ROLE_PASSWORD)) as office:
        yield office


@pytest.fixture
async def admin(own_admin_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(own_admin_dsn)
    yield connection
    await connection.execute("UPDATE fraud.rulesets SET status = 'retired' WHERE status = 'live'")
    await connection.execute(
        """UPDATE fraud.list_entries SET removed_at = now(), removed_by = 'b', removed_because = 'c'
           WHERE removed_at IS NULL"""
    )
    await connection.close()


async def put_live(admin: asyncpg.Connection, *rules: str) -> int:
    """Put rules live behind every process's back, as another process would."""
    return await put_in_force(admin, RULES.format(rules="".join(rules)))


async def put_on_list(admin: asyncpg.Connection, name: str, subject: str, value: str, **more: str) -> str:
    entry_id = new_id()
    await admin.execute(
        """INSERT INTO fraud.list_entries (entry_id, list, subject, value, other, rule_id, reason, added_by, added_at,
                                           expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, 'tried', 'a', now(), now() + interval '300 days')""",
        entry_id,
        name,
        subject,
        value,
        more.get("other", ""),
        more.get("rule_id", ""),
    )
    return entry_id


async def features_of(office: Office, transfer_id: str) -> Features:
    [row] = await office.query("SELECT features FROM fraud.decisions WHERE transfer_id = $1", transfer_id)
    return msgspec.json.decode(row["features"], type=Features)


def said(screened: TransferScreened) -> tuple[str, str, tuple[str, ...]]:
    return screened.verdict, screened.code, screened.reasons


async def settled(office: Office, *commands: TransferCommand) -> list[TransferScreened]:
    """Ask until what stands elsewhere is known here, as delivery does."""
    for _ in range(5):
        try:
            return await office.ask(*commands)
        except Unavailable:
            continue
    raise AssertionError("never settled")


async def test_the_shipped_rules_go_live_once(office: Office, admin: asyncpg.Connection) -> None:
    publish = PublishShippedRules(office.work, lambda: NOON)
    await publish()
    await publish()
    assert [tuple(row) for row in await admin.fetch("SELECT version, status FROM fraud.rulesets")] == [(2, "live")]
    command = transfer(new_id(), amount_minor=1_000_000_00)
    [answer] = await settled(office, command)
    assert (answer.verdict, answer.ruleset) == ("approve", 2)
    hits = (await features_of(office, command.transfer_id)).hits
    assert hits == ("new_payee_large", "young_account_large", "round_amount_large", "fresh_kyc_large")


async def test_points_add_up_to_a_review_and_then_to_a_block(office: Office, admin: asyncpg.Connection) -> None:
    version = await put_live(
        admin,
        rule("big", "usd_minor >= 1000", hits="usd_minor: 1000", does="points: 60"),
        rule("bigger", "usd_minor >= 2000", hits="usd_minor: 2000", does="points: 40"),
        rule("biggest", "usd_minor >= 3000", hits="usd_minor: 3000", does="points: 100"),
    )
    payer = new_id()
    small, big, bigger, biggest = (transfer(payer, amount_minor=amount) for amount in (999, 1000, 2000, 3000))

    answers = await settled(office, small, big, bigger, biggest)

    assert [said(one) for one in answers] == [
        ("approve", "", ()),
        ("approve", "", ()),
        ("hold", "", ("review",)),
        ("block", "unusual_activity", ()),
    ]
    assert {one.ruleset for one in answers} == {version}
    kept = await features_of(office, biggest.transfer_id)
    assert (kept.hits, kept.points) == (("big", "bigger", "biggest"), 200)
    assert (await features_of(office, small.transfer_id)).hits == ()


async def test_a_block_by_a_rule_uses_no_limit_and_is_counted_as_a_blocked_try(
    office: Office, admin: asyncpg.Connection
) -> None:
    await put_live(admin, rule("big", "usd_minor >= 1000", hits="usd_minor: 1000", does="action: block"))
    payer = new_id()
    await settled(office, transfer(payer, amount_minor=1000))
    after = transfer(payer, amount_minor=10)

    await office.ask(after)

    kept = await features_of(office, after.transfer_id)
    [values] = kept.values
    assert kept.hour_count == 0
    assert (values[PLACES["sender_blocked_1h"]], values[PLACES["sender_count_1h"]]) == (1, 0)


async def test_what_speaks_of_money_laundering_says_no_more_than_a_list_does(
    office: Office, admin: asyncpg.Connection
) -> None:
    await put_live(
        admin,
        rule("aml", "usd_minor > 5", hits="usd_minor: 6", does="action: block", typology="money_laundering"),
    )
    [answer] = await settled(office, transfer(new_id()))
    assert said(answer) == ("block", "transfer_not_permitted", ())


async def test_a_hold_waits_for_the_review_and_the_payees_kyc(office: Office, admin: asyncpg.Connection) -> None:
    await put_live(admin, rule("any", "usd_minor > 0", hits="usd_minor: 1", does="action: review"))
    [answer] = await settled(office, transfer(new_id(), payee_tier=0))
    assert said(answer) == ("hold", "", ("review", "kyc_pending"))


async def test_a_condition_that_cannot_be_computed_is_reviewed_and_never_passes_unseen(
    office: Office, admin: asyncpg.Connection
) -> None:
    fails = rule("fails", "100 / sender_count_1h > 5", hits="sender_count_1h: 1", does="points: 1")
    fails = fails.replace("given: {}", "given: {sender_count_1h: 100}")
    never = rule("never", "legs > 100", hits="legs: 101", does="points: 1")
    await put_live(admin, fails, never)
    failing = transfer(new_id(), amount_minor=2000)
    [answer] = await settled(office, failing)
    assert said(answer) == ("hold", "", ("review",))
    assert (await features_of(office, failing.transfer_id)).errors == ("fails",)


@pytest.mark.parametrize("subject", ["customer", "sender", "receiver", "pair", "address", "device"])
async def test_whoever_is_denied_is_blocked_by_the_very_next_decision(
    office: Office, admin: asyncpg.Connection, subject: str
) -> None:
    payer, payee = new_id(), new_id()
    command = msgspec.structs.replace(
        transfer(payer, payee=payee),
        address_key=office.origins.address("203.0.114.7"),
        device_key=office.origins.device("phone 1"),
    )
    value = {"receiver": payee, "address": "203.0.114.7", "device": "phone 1"}.get(subject, payer)
    assert said(await office.ask_one(command))[0] == "approve"

    entry = await put_on_list(admin, "deny", subject, value, other=payee if subject == "pair" else "")

    with pytest.raises(Unavailable, match="limits"):
        await office.ask(msgspec.structs.replace(command, transfer_id=new_id()))
    denied = msgspec.structs.replace(command, transfer_id=new_id())
    assert said(await office.ask_one(denied)) == ("block", "transfer_not_permitted", ())
    assert (await features_of(office, denied.transfer_id)).listed == [entry]

    await admin.execute(
        "UPDATE fraud.list_entries SET removed_at = now(), removed_by = 'b', removed_because = 'c' WHERE entry_id = $1",
        entry,
    )
    [again] = await settled(office, msgspec.structs.replace(command, transfer_id=new_id()))
    assert said(again)[0] == "approve"


async def test_a_frozen_customer_neither_sends_nor_receives_nor_is_booked_for(
    office: Office, admin: asyncpg.Connection
) -> None:
    frozen = new_id()
    await put_on_list(admin, "freeze", "customer", frozen)
    asked = [
        transfer(frozen),
        transfer(new_id(), payee=frozen),
        deposit(amount_minor=5, payee=frozen),
        withdrawal(frozen, amount_minor=5),
    ]
    answers = await settled(office, *asked)
    assert {said(one) for one in answers} == {("block", "transfer_not_permitted", ())}


async def test_an_allowed_pair_and_a_snoozed_rule_mute_hits_that_may_be_muted(
    office: Office, admin: asyncpg.Connection
) -> None:
    await put_live(
        admin,
        rule("soft", "usd_minor > 5", hits="usd_minor: 6", does="action: review"),
        rule("hard", "usd_minor > 500", hits="usd_minor: 501", does="action: review\n  overridable: false"),
    )
    snoozed, payer, payee = new_id(), new_id(), new_id()
    await put_on_list(admin, "snooze", "sender", snoozed, rule_id="soft")
    await put_on_list(admin, "allow", "pair", payer, other=payee)
    quiet, loud, elsewhere = (
        transfer(payer, payee=payee, amount_minor=100),
        transfer(payer, payee=payee, amount_minor=1000),
        transfer(payer, amount_minor=100),
    )
    answers = await settled(office, quiet, loud, elsewhere, transfer(snoozed, amount_minor=100))
    assert [one.verdict for one in answers] == ["approve", "hold", "hold", "approve"]
    kept = await features_of(office, loud.transfer_id)
    assert (kept.hits, kept.muted) == (("hard",), ("soft",))


async def test_what_was_decided_is_seen_by_the_next_in_the_same_batch_and_after_a_restart(
    office: Office,
) -> None:
    payer, other, payee = new_id(), new_id(), new_id()
    key = office.origins.address("203.0.114.9")

    def sent(by: str) -> TransferCommand:
        return msgspec.structs.replace(transfer(by, payee=payee, amount_minor=100), address_key=key)

    await office.ask(sent(payer), sent(payer), sent(other))
    expected = {
        "sender_count_1h": 2,
        "pair_count_30d": 2,
        "pair_sum_24h": 200,
        "receiver_count_1h": 3,
        "receiver_senders_30d": 2,
        "address_senders_1h": 2,
        "address_known": True,
        "sender_receivers_7d": 1,
    }
    for restart in (False, True):
        if restart:
            office.forget()
        command = sent(payer)
        await office.ask(command)
        [values] = (await features_of(office, command.transfer_id)).values
        seen = {name: values[PLACES[name]] for name in expected}
        more = int(restart)
        wanted = expected | {
            "sender_count_1h": 2 + more,
            "pair_count_30d": 2 + more,
            "pair_sum_24h": 200 + 100 * more,
            "receiver_count_1h": 3 + more,
        }
        assert seen == wanted


async def test_an_atomic_batch_that_is_refused_leaves_nothing_but_its_blocked_tries(office: Office) -> None:
    payer, payee = new_id(), new_id()
    await office.ask_batch(
        transfer(payer, payee=payee, amount_minor=100), transfer(payer, payee=payee, amount_minor=1_000_000_01)
    )
    command = transfer(payer, payee=payee)
    await office.ask(command)
    [values] = (await features_of(office, command.transfer_id)).values
    assert values[PLACES["pair_count_1h"]] == 0
    assert values[PLACES["sender_blocked_1h"]] == 1
    rows = await office.query("SELECT blocked FROM fraud.activity WHERE payer_id = $1 ORDER BY blocked", payer)
    assert [row["blocked"] for row in rows] == [False, True]


async def test_counts_add_up_to_the_decisions(office: Office, admin: asyncpg.Connection) -> None:
    version = await put_live(
        admin,
        rule("some", "usd_minor >= 1000", hits="usd_minor: 1000", does="points: 1"),
        rule("held", "usd_minor >= 5000", hits="usd_minor: 5000", does="action: review"),
    )
    payer = new_id()
    await settled(office, *[transfer(payer, amount_minor=amount) for amount in (1, 1000, 5000, 1_000_000_01)])
    office.pass_time(hours=1)
    await office.ask(transfer(payer, amount_minor=1500), deposit(amount_minor=7))
    counted = await admin.fetch(
        """SELECT hour, verdict, code, sum(decisions) AS n, sum(usd_minor) AS usd FROM fraud.decision_counts
           GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    )
    decided = await admin.fetch(
        """SELECT date_trunc('hour', decided_at, 'UTC') AS hour, verdict, code, count(*) AS n, sum(usd_minor) AS usd
           FROM fraud.decisions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    )
    assert [tuple(row) for row in counted] == [tuple(row) for row in decided]
    hits = await admin.fetch(
        """SELECT rule_id, verdict, outcome, sum(decisions) FROM fraud.rule_counts WHERE ruleset = $1
           GROUP BY 1, 2, 3 ORDER BY 1, 2""",
        version,
    )
    assert [tuple(row) for row in hits] == [
        ("held", "block", "hit", 1),
        ("held", "hold", "hit", 1),
        ("some", "approve", "hit", 2),
        ("some", "block", "hit", 1),
        ("some", "hold", "hit", 1),
    ]


async def test_while_the_live_rules_cannot_be_read_transfers_wait_and_none_is_decided(
    office: Office, admin: asyncpg.Connection
) -> None:
    await put_live(admin, rule("newer", "sender_of_a_later_version > 1", hits="usd_minor: 1", does="points: 1"))
    waiting = transfer(new_id())
    for _ in range(3):
        office.screening.look_again()
        with pytest.raises(Unavailable) as refusal:
            await office.ask_one(waiting)
        assert refusal.value.code == "rules_unreadable"
        assert "sender_of_a_later_version" in refusal.value.detail
    assert await office.query("SELECT 1 FROM fraud.decisions WHERE transfer_id = $1", waiting.transfer_id) == []

    await put_live(admin, rule("older", "usd_minor > 1", hits="usd_minor: 2", does="points: 1"))
    assert said(await office.ask_one(waiting)) == ("approve", "", ())
