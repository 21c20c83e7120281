"""Rules and lists through the whole stack: written, approved, put live, and what a customer is told of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.e2e.api_client import Api, Person, problem, staff, wait_until

RULESETS, LISTS = "/admin/fraud/rulesets", "/admin/fraud/lists"
# Amounts that nobody else's test sends: the stack is shared.
REVIEWED_MINOR, BLOCKED_MINOR, SHADOWED_MINOR = 7_317, 7_321, 7_331
RULE = """
- id: {id}
  title: An amount that only a test sends
  when: usd_minor == {amount}
  message: Exactly {{usd_minor}} US cents.
  typology: other
  action: {action}
  examples:
  - {{given: {{usd_minor: {amount}}}, hits: true}}
  - {{given: {{}}, hits: false}}
"""


@pytest.fixture(scope="module")
def author(api: Api) -> str:
    """Give the token of somebody in compliance."""
    return staff(api, "compliance")


@pytest.fixture(scope="module")
def colleague(api: Api) -> str:
    """Give the token of somebody else there."""
    return staff(api, "compliance")


def rule(name: str, amount_minor: int, action: str) -> str:
    return RULE.format(id=name, amount=amount_minor, action=action)


def live_rules(api: Api, token: str) -> str:
    """Return the text of the live set: the shipped one, and what tests before have added."""
    [live] = [one for one in api.get(RULESETS, token).json()["rulesets"] if one["status"] == "live"]
    return str(api.get(f"{RULESETS}/{live['version']}", token).json()["document"])


def write(api: Api, token: str, document: str) -> tuple[int, str]:
    answer = api.post(RULESETS, {"document": document, "reason": "tried"}, token=token)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return body["version"], body["risk"]


def move(api: Api, token: str, version: int, how: str) -> httpx2.Response:
    return api.post(f"{RULESETS}/{version}/{how}", {"reason": "tried"}, token=token)


def test_a_rule_holds_a_transfer_until_a_person_has_looked_and_another_blocks_it(
    api: Api, author: str, colleague: str
) -> None:
    payer, payee = api.person("rhea", funds_minor=50_000), api.person("rolf")
    reviewing = live_rules(api, author) + rule("exact_amount", REVIEWED_MINOR, "review")
    version, risk = write(api, author, reviewing)
    assert risk == "low", "it looks at more than the live set does"
    assert move(api, author, version, "live").json()["status"] == "live"

    held = api.pay(payer, payee, REVIEWED_MINOR)
    assert held.status_code == 202
    transfer_id = held.json()["transfer_id"]
    assert (held.json()["status"], held.json()["reasons"]) == ("held", ["review"])
    decision = api.get(f"/admin/fraud/decisions/{transfer_id}", author).json()
    assert decision["ruleset"] == version
    assert "exact_amount" in str(decision)
    assert "exact_amount" not in api.get(f"/transfers/{transfer_id}", payer.token).text
    approved = api.post(f"/admin/fraud/reviews/{transfer_id}/approve", {"reason": "asked him"}, token=author)
    assert approved.status_code == 200, approved.text
    wait_until("the posting", lambda: api.balance_minor(payee) == REVIEWED_MINOR)

    blocking, risk = write(api, author, reviewing + rule("blocked_amount", BLOCKED_MINOR, "block"))
    assert risk == "high"
    problem(move(api, author, blocking, "live"), 409, "ruleset_needs_approval")
    problem(move(api, author, blocking, "approve"), 403, "own_ruleset")
    assert move(api, colleague, blocking, "approve").status_code == 200
    assert move(api, author, blocking, "live").json()["status"] == "live"
    blocked = api.pay(payer, payee, BLOCKED_MINOR)
    problem(blocked, 403, "unusual_activity")
    assert "blocked_amount" not in blocked.text
    assert api.get(f"{RULESETS}/{version}", author).json()["ruleset"]["status"] == "retired"
    listed = [one["version"] for one in api.get(RULESETS, author).json()["rulesets"]]
    assert listed[:2] == [blocking, version]
    refused = api.post(RULESETS, {"document": reviewing.replace("usd_minor ==", "usd =="), "reason": "x"}, token=author)
    assert "undeclared reference to 'usd'" in problem(refused, 422, "ruleset_invalid")["detail"]


def test_a_rule_set_in_the_shadow_would_have_blocked_what_went_through(api: Api, author: str) -> None:
    payer, payee = api.person("sven", funds_minor=20_000), api.person("sina")
    version, risk = write(api, author, live_rules(api, author) + rule("shadowed_amount", SHADOWED_MINOR, "block"))
    assert risk == "high", "and yet one person may try it where it decides nothing"
    assert move(api, author, version, "shadow").json()["status"] == "shadow"
    problem(move(api, payer.token, version, "unshadow"), 403, "role_required")

    paid = api.pay(payer, payee, SHADOWED_MINOR)

    assert paid.status_code == 201, paid.text
    today = datetime.now(UTC).date()
    days = f"?start_date={today - timedelta(days=1)}&end_date={today + timedelta(days=1)}"

    def changed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.get(f"{RULESETS}/{version}/shadow/changed{days}", author).json()["decisions"]
        return [one for one in found if one["transfer_id"] == paid.json()["transfer_id"]]

    wait_until("the judgement in the shadow", lambda: bool(changed()))
    [would_be] = changed()
    assert (would_be["live_verdict"], would_be["shadow_verdict"], would_be["hits"]) == (
        "approve",
        "block",
        ["shadowed_amount"],
    )
    assert move(api, author, version, "unshadow").json()["status"] == "draft"
    said = api.get(f"{RULESETS}/{version}/shadow{days}", author).json()
    assert {"live_verdict": "approve", "shadow_verdict": "block", "decisions": 1, "usd_minor": SHADOWED_MINOR} in said[
        "by_verdict"
    ]
    parts = ("judged", "failed", "dropped", "missing", "undetermined")
    assert said["made"]["decisions"] == sum(said[part]["decisions"] for part in parts)
    assert said["in_shadow"][0]["ends_at"] is not None


def test_whoever_is_frozen_neither_sends_nor_receives_and_is_not_told_why(
    api: Api, author: str, colleague: str
) -> None:
    frozen, other = api.person("fred", funds_minor=1_000), api.person("fran", funds_minor=1_000)
    wanted = {"list": "freeze", "subject": "customer", "value": frozen.user_id, "reason": "his phone was stolen"}
    entry = api.post(LISTS, wanted, token=author)
    assert entry.status_code == 201, entry.text

    for blocked in (api.pay(frozen, other, 5), api.pay(other, frozen, 5)):
        assert problem(blocked, 403, "transfer_not_permitted")["detail"] == "This transfer cannot be made; ask support."

    entry_id = entry.json()["entry_id"]
    standing = api.get(f"{LISTS}?value={frozen.user_id}", colleague).json()["entries"]
    assert [one["entry_id"] for one in standing] == [entry_id]
    removed = api.post(f"{LISTS}/{entry_id}/remove", {"reason": "he has a new one"}, token=colleague)
    assert removed.json()["removed_because"] == "he has a new one"
    problem(api.post(f"{LISTS}/{entry_id}/remove", {"reason": "again"}, token=colleague), 409, "list_entry_removed")
    assert api.pay(frozen, other, 5).status_code == 201
    assert api.get(f"{LISTS}?value={frozen.user_id}", colleague).json()["entries"] == []
    unfit = wanted | {"subject": "sender"}
    problem(api.post(LISTS, unfit, token=author), 422, "list_entry_invalid")
    me = api.get("/me", author).json()["user_id"]
    problem(api.post(LISTS, wanted | {"value": me}, token=author), 403, "own_list_entry")


def test_a_million_passes_the_shipped_rules_and_a_cent_more_does_not(api: Api) -> None:
    rich, payee = _rich(api), api.person("paula")
    assert api.pay(rich, payee, 1_000_000_00).status_code == 201
    refused = problem(api.pay(rich, payee, 1_000_000_01), 403, "amount_limit_exceeded")
    assert refused["limit"] == "maximum_amount"


def _rich(api: Api) -> Person:
    person = api.person("ria", funds_minor=1_000_000_00)
    assert api.deposit(person, 1_000_000_00).status_code == 201
    return person
