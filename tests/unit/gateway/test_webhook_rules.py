"""Where webhooks may go by their spelling, and when an event is sent again."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import Unprocessable
from services.gateway.domain.webhooks import GIVEN_UP_AFTER, next_attempt_at, require_url, rest_after

NOW = datetime(2026, 3, 1, tzinfo=UTC)

REFUSED = [
    "",
    "https://",
    "http://shop.example/",
    "ftp://shop.example/",
    "https://localhost:99999/",
    "https://shop.example:0/",
    "https://user:word@shop.example/",
    "https://shop.example@127.0.0.1/",
    "https://shop.example/#part",
    "https://shop.example\\@127.0.0.1/",
    "https://shop.example/ events",
    "https://shop.example/\n",
    "https://münchen.example/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://169.254.169.254/latest/meta-data",
    "https://shop_example/",
    "https://2130706433/",
    "https://0/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.1./",
    "https://localhost/",
    "https://localhost./",
    "https://inside.localhost/",
    "https://-shop.example/",
    "https://[::1/",
    "//shop.example/",
    "https://" + "a" * 2000,
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_no_event_may_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(Unprocessable, match="webhook_url_refused"):
        require_url(url, frozenset())


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/events",
        "https://shop.example:8443/events?tenant=4",
        "https://xn--mnchen-3ya.example/",
        "https://8.8.8.8/",
        "https://0xcafe.example/",
        "https://4711.example./",
        "https://[2606:4700:4700::1111]:443/",
    ],
)
def test_a_public_place_with_tls_is_accepted(url: str) -> None:
    require_url(url, frozenset())


def test_only_named_hosts_are_reached_without_tls_or_at_home() -> None:
    require_url("http://127.0.0.1:8000/events", {"127.0.0.1"})
    with pytest.raises(Unprocessable):
        require_url("http://127.0.0.2:8000/events", {"127.0.0.1"})
    with pytest.raises(Unprocessable):
        require_url("ftp://127.0.0.1/", {"127.0.0.1"})


def test_an_event_is_tried_for_three_days_at_growing_pauses() -> None:
    at, attempts = NOW, 0
    pauses = []
    while True:
        attempts += 1
        again_at = next_attempt_at(attempts, NOW, at, 1.0)
        if again_at is None:
            break
        pauses.append(again_at - at)
        at = again_at
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=5)
    assert pauses[-1] == timedelta(hours=8)
    assert GIVEN_UP_AFTER <= at - NOW < GIVEN_UP_AFTER + timedelta(hours=8)
    assert 10 < attempts < 25


def test_a_dead_receiver_is_left_alone_for_up_to_five_minutes() -> None:
    assert [rest_after(rounds).total_seconds() for rounds in (1, 2, 3, 100)] == [10, 20, 40, 300]
