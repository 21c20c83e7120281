"""A stored decision, made again from what it stored: the same verdict, whatever decided it."""

from datetime import UTC, datetime
from random import Random

import msgspec

from libs.common.ids import new_id
from services.fraud.domain.replay import replay
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.stored_features import Features
from tests.integration.fraud.office import Office
from tests.integration.fraud.random_decisions import RULES, decide_at_random
from tests.integration.fraud.rulebook import end_rulesets, enter, put_live

BEGINS = datetime(2025, 3, 1, tzinfo=UTC)


async def test_each_decision_is_reproduced_by_the_rules_that_made_it(office: Office, fraud_admin_dsn: str) -> None:
    dice = Random(20250301)
    payers = [new_id() for _ in range(6)]
    await end_rulesets(fraud_admin_dsn)
    await decide_at_random(office, dice, begins_at=BEGINS, days=2, payers=payers)
    first = await put_live(fraud_admin_dsn, RULES)
    entries = [
        await enter(fraud_admin_dsn, "deny", "sender", payers[0]),
        await enter(fraud_admin_dsn, "allow", "sender", payers[1]),
        await enter(fraud_admin_dsn, "snooze", "sender", payers[2], rule_id="round"),
    ]
    office.screening.look_again()
    await decide_at_random(office, dice, begins_at=BEGINS.replace(day=4), days=4, payers=payers)
    strict = RULES.replace("block_from: 100", "block_from: 50").replace("typology: scam", "typology: mule")
    second = await put_live(fraud_admin_dsn, strict)
    office.screening.look_again()
    await decide_at_random(office, dice, begins_at=BEGINS.replace(day=9), days=4, payers=payers)
    await end_rulesets(fraud_admin_dsn)

    rulesets = {1: None, first: Ruleset(first, read_ruleset(RULES)), second: Ruleset(second, read_ruleset(strict))}
    seen = set()
    for row in await office.query(
        "SELECT * FROM fraud.decisions WHERE decided_at >= $1 AND decided_at < $2", BEGINS, BEGINS.replace(month=4)
    ):
        features = msgspec.json.decode(row["features"], type=Features)
        ruling, outcome = replay(features, row["code"], rulesets[row["ruleset"]])
        assert (ruling.verdict, ruling.code, list(ruling.reasons)) == (row["verdict"], row["code"], row["reasons"])
        said = (outcome.points, outcome.hits, outcome.errors, outcome.muted)
        assert said == (features.points, features.hits, features.errors, features.muted)
        seen |= {(row["ruleset"], row["code"] or row["verdict"]), *(f"muted {rule}" for rule in features.muted)}
        seen |= set(features.listed)
    assert seen >= {(1, "approve"), (first, "unusual_activity"), (second, "transfer_not_permitted"), (second, "hold")}
    assert seen >= {*entries, "muted round", "muted large"}
