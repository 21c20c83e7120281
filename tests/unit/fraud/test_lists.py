"""What lists say of a transfer, and which entries are refused because they could never match or never end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.contracts.transfers import DEVICE_CHARACTERS_MAX
from libs.common.errors import Unprocessable
from services.fraud.domain.list_entries import LENIENT_FOR_MAX, Wanted, check_entry
from services.fraud.domain.lists import Entry, Listed, ListName, Lists, Subject

NOW_US = 1_800_000_000_000_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"


def look_up(*entries: Entry, now_us: int = NOW_US) -> Listed:
    return Lists(entries).look_up("sender", ["first", "second"], address_key=7, device_key=8, now_us=now_us)


def entry(subject: Subject, key: str, name: ListName = "deny", *, rule_id: str = "", expires_us: int = 0) -> Entry:
    return Entry(f"{name} {subject} {key}", name, subject, key, rule_id, expires_us)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("customer", "sender"),
        ("customer", "second"),
        ("sender", "sender"),
        ("receiver", "first"),
        ("receiver", "second"),
        ("pair", "sender>second"),
        ("address", "7"),
        ("device", "8"),
    ],
)
def test_an_entry_is_found_by_whatever_of_it_a_transfer_shows(subject: Subject, key: str) -> None:
    assert look_up(entry(subject, key)).denied_by == [f"deny {subject} {key}"]


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("sender", "first"),
        ("receiver", "sender"),
        ("pair", "second>sender"),
        ("pair", "first>second"),
        ("address", "8"),
        ("customer", "else"),
    ],
)
def test_an_entry_speaks_of_nobody_else(subject: Subject, key: str) -> None:
    assert look_up(entry(subject, key)) == Listed()


def test_who_moves_money_without_a_transfer_shows_himself_alone() -> None:
    def denied(*entries: Entry) -> list[str]:
        return Lists(entries).look_up("sender", (), address_key=0, device_key=0, now_us=NOW_US).denied_by

    assert denied(entry("customer", "sender", "freeze")) == ["freeze customer sender"]
    assert denied(entry("customer", "sender"), entry("sender", "sender")) == [
        "deny customer sender",
        "deny sender sender",
    ]
    others = [entry("receiver", "sender"), entry("pair", "sender>first"), entry("address", "7"), entry("device", "8")]
    assert denied(*others, entry("customer", "first", "freeze"), entry("customer", "sender", "allow")) == []


def test_an_entry_is_over_at_its_end() -> None:
    ending = entry("customer", "sender", expires_us=NOW_US)
    assert look_up(ending, now_us=NOW_US - 1).denied_by
    assert not look_up(ending, now_us=NOW_US).denied_by


def test_a_freeze_denies_a_snooze_mutes_its_rule_and_an_allowance_mutes_all() -> None:
    frozen = look_up(entry("customer", "first", "freeze"))
    assert (frozen.denied_by, frozen.entry_ids) == (["freeze customer first"], ["freeze customer first"])
    snoozed = look_up(entry("sender", "sender", "snooze", rule_id="round"))
    assert (snoozed.muted_rules, snoozed.mutes_all, snoozed.denied_by) == (["round"], False, [])
    allowed = look_up(entry("device", "8", "allow"), entry("address", "7"))
    assert (allowed.mutes_all, allowed.muted_rules) == (True, [])
    assert allowed.entry_ids == ["deny address 7", "allow device 8"], "who is allowed may be denied all the same"


def test_no_entry_at_all_is_told_from_some() -> None:
    assert not Lists()
    assert Lists([entry("customer", "else")])


DENIED = Wanted("deny", "customer", ONE, "", "", "because", None)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": "freeze"},
        {"subject": "pair", "other": OTHER},
        {"subject": "address", "value": "8.8.8.8"},
        {"subject": "address", "value": "2a00:1450:4001:81b::200e"},
        {"subject": "device", "value": "x" * DEVICE_CHARACTERS_MAX},
        {"expires_at": NOW + timedelta(microseconds=1)},
        {"name": "allow", "expires_at": NOW + LENIENT_FOR_MAX},
        {"name": "snooze", "rule_id": "round", "expires_at": NOW + LENIENT_FOR_MAX},
    ],
    ids=["deny", "freeze", "pair", "address", "address-v6", "device", "soon", "allow", "snooze"],
)
def test_an_entry_that_says_what_it_means_is_kept(change: dict[str, Any]) -> None:
    check_entry(replace(DENIED, **change), NOW)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": "ada@example.com"}, "customer's user id"),
        ({"subject": "pair"}, "`other` the receiver's"),
        ({"subject": "pair", "other": "bob"}, "`other` the receiver's"),
        ({"other": OTHER}, "for pairs alone"),
        ({"subject": "address", "value": "10.0.0.1"}, "public IP address"),
        ({"subject": "address", "value": "ada"}, "public IP address"),
        ({"subject": "device", "value": "x" * (DEVICE_CHARACTERS_MAX + 1)}, "100 characters at most"),
        ({"name": "freeze", "subject": "sender"}, "Customers are frozen"),
        ({"rule_id": "round"}, "for snoozes alone"),
        ({"name": "snooze", "expires_at": NOW + LENIENT_FOR_MAX}, "names the rule"),
        ({"expires_at": NOW}, "has passed"),
        ({"name": "allow"}, "a year from now at most"),
        ({"name": "allow", "expires_at": NOW + LENIENT_FOR_MAX + timedelta(microseconds=1)}, "a year from now"),
    ],
    ids=[
        "no-id",
        "pair-of-one",
        "pair-with-no-id",
        "other-of-no-pair",
        "private-address",
        "no-address",
        "long-device",
        "frozen-sender",
        "rule-of-no-snooze",
        "snooze-of-nothing",
        "expired",
        "allowed-for-ever",
        "allowed-too-long",
    ],
)
def test_an_entry_that_could_never_match_or_never_end_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        check_entry(replace(DENIED, **change), NOW)
    assert refusal.value.code == "list_entry_invalid"
    assert says in refusal.value.detail


@pytest.mark.parametrize("name", ["allow", "snooze"])
def test_what_mutes_rules_does_nothing_where_whoever_entered_it_pays_or_is_paid(name: ListName) -> None:
    muting = entry("device", "8", name, rule_id="round" if name == "snooze" else "")
    assert look_up(replace(muting, added_by="officer")).allowed_by
    for party in ("sender", "first", "second"):
        assert look_up(replace(muting, added_by=party)) == Listed()
    assert look_up(replace(entry("device", "8"), added_by="sender")).denied_by
