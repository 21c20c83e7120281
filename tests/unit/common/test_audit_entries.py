"""What an audit entry says, and what it refuses to."""

from datetime import UTC, datetime
from typing import cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from libs.common.audit.asker import Asker, asker_of_command, bounded_user_agent, by_itself
from libs.common.audit.entry import new_entry
from libs.common.audit.trail import AuditTrail
from libs.common.errors import InvariantBroken
from libs.common.http.audited import Audited
from libs.common.proof.canonical_json import NotCanonical

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_entry_says_who_asked_and_from_where() -> None:
    asker = Asker(address="192.0.2.7", user_agent="curl/8", request_id="r")
    asker.is_person("somebody")
    entry = new_entry(
        "kyc", asker, "customer.set_roles", at=NOON, resource=("customer", "c"), facts={"b": 1, "a": ["x"]}
    )
    assert (entry.actor_id, entry.actor_kind, entry.address) == ("somebody", "person", "192.0.2.7")
    assert (entry.user_agent, entry.request_id, entry.outcome) == ("curl/8", "r", "done")
    assert (entry.resource_type, entry.resource_id, entry.facts) == ("customer", "c", '{"a":["x"],"b":1}')


def test_what_a_service_does_by_itself_has_the_service_as_its_actor() -> None:
    entry = new_entry("kyc", by_itself("kyc"), "verification.expire", at=NOON, resource=("customer", "c"))
    assert (entry.actor_id, entry.actor_kind, entry.facts) == ("kyc", "system", "{}")


def test_facts_are_small_and_have_one_spelling() -> None:
    with pytest.raises(InvariantBroken, match="facts of an audit entry are small"):
        new_entry("kyc", Asker(), "a", at=NOON, resource=("", ""), facts={"text": "x" * 5000})
    with pytest.raises(NotCanonical):
        new_entry("kyc", Asker(), "a", at=NOON, resource=("", ""), facts={"ratio": 0.5})


def test_a_client_s_name_is_bounded_and_has_no_control_characters() -> None:
    assert bounded_user_agent(b"Mozilla/5.0 (X11)\x1b[31m") == "Mozilla/5.0 (X11)[31m"
    assert len(bounded_user_agent(b"a" * 5000)) == 200


async def test_a_start_and_a_stop_are_no_requests_and_pass() -> None:
    heard = []

    async def service(scope: Scope, _receive: Receive, _send: Send) -> None:
        heard.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError

    async def nobody(_message: Message) -> None:
        raise AssertionError

    await Audited(service, cast("AuditTrail", None))({"type": "lifespan"}, nothing, nobody)
    assert heard == ["lifespan"]


def test_whoever_uses_a_key_is_a_machine_and_the_key_is_named() -> None:
    asker = Asker("somebody", address="192.0.2.7", request_id="r")
    for key_id, kind, facts in (("", "person", '{"a":1}'), ("k", "machine", '{"a":1,"key_id":"k"}')):
        asker.used_key(key_id)
        entry = new_entry("kyc", asker, "a", at=NOON, resource=("", ""), facts={"a": 1})
        assert (entry.actor_kind, entry.facts) == (kind, facts)
        assert asker_of_command("somebody", asker.asked_from()) == asker


def test_what_nobody_asked_for_by_a_request_is_a_person_s_from_nowhere() -> None:
    assert asker_of_command("somebody", None) == Asker("somebody", "person")
