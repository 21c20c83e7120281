"""Every feature of a transfer stands where the catalogue says, and counts what it says."""

from datetime import UTC, datetime

from msgspec import structs

from services.fraud.domain.activity import Activity, Event
from services.fraud.domain.features import CATALOGUE, Around, Side, Value, values_of
from services.fraud.domain.moments import all_to_us, from_us, to_us, us_or_zero
from services.fraud.domain.window import Window

SUNDAY = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
NOW_US = to_us(SUNDAY)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
SENDER = Side("ada", 2, account_since_us=NOW_US - 5_000_000, kyc_since_us=NOW_US + 1)
RECEIVER = Side("bob", 1, account_since_us=0, kyc_since_us=NOW_US - 7_000_000)


def values(around: Around, *, sender: Side = SENDER, receiver: Side = RECEIVER) -> dict[str, Value]:
    listed = values_of(
        usd_minor=1_234,
        legs=2,
        hold_seconds=60,
        now_us=NOW_US,
        sender=sender,
        receiver=receiver,
        is_business=True,
        around=around,
    )
    assert len(listed) == len(CATALOGUE)
    for feature, value in zip(CATALOGUE, listed, strict=True):
        assert type(value).__name__ == feature.kind, feature.name
    return dict(zip((feature.name for feature in CATALOGUE), listed, strict=True))


def activity(*events: Event, keeps_pairs: bool = False) -> Activity:
    return Activity.of(events, NOW_US, keeps_pairs=keeps_pairs)


def test_of_somebody_nobody_knows_everything_is_nothing() -> None:
    shown = values(Around(activity(keeps_pairs=True), None, None, None, Window()))
    said = {name: value for name, value in shown.items() if value}
    assert said == {
        "usd_minor": 1_234,
        "legs": 2,
        "hold_seconds": 60,
        "hour_utc": 23,
        "weekday_utc": 7,
        "sender_tier": 2,
        "receiver_tier": 1,
        "sender_is_business": True,
        "sender_age_seconds": 5,
        "receiver_kyc_age_seconds": 7,
        "sender_idle_seconds": 30 * 24 * 3_600,
    }


def test_each_subject_is_counted_by_its_own_events_and_what_is_a_limit_by_the_limits() -> None:
    window = Window()
    window.take(NOW_US - 2 * HOUR_US, 800)
    window.take(NOW_US - 1, 33)
    window.advance(NOW_US)
    sending = activity(
        Event(NOW_US - 2 * HOUR_US, 10, "eve", blocked=False),
        Event(NOW_US - HOUR_US, 20, "bob", blocked=False),
        Event(NOW_US - 9_000_000, 40, "bob", blocked=True),
        keeps_pairs=True,
    )
    receiving = activity(Event(NOW_US - 3, 5, "eve", blocked=False), Event(NOW_US - 2, 6, "dan", blocked=False))
    address = activity(Event(NOW_US - 4, 7, "ada", blocked=False), Event(NOW_US - 3, 9, "ada", blocked=True))
    device = activity(Event(NOW_US - 4, 8, "eve", blocked=False))
    shown = values(Around(sending, receiving, address, device, window))

    assert (shown["sender_count_1h"], shown["sender_sum_1h"]) == (1, 0), "an hour ago is not within the hour"
    assert (shown["sender_count_24h"], shown["sender_sum_24h"]) == (2, 833)
    assert (shown["sender_count_7d"], shown["sender_sum_7d"], shown["sender_receivers_7d"]) == (2, 30, 2)
    assert (shown["sender_blocked_1h"], shown["sender_blocked_24h"]) == (1, 1)
    assert shown["sender_idle_seconds"] == 3_600, "a blocked try is no transfer"
    assert (shown["receiver_count_1h"], shown["receiver_sum_30d"], shown["receiver_senders_24h"]) == (2, 11, 2)
    assert (shown["pair_count_1h"], shown["pair_count_24h"], shown["pair_sum_24h"]) == (0, 1, 20)
    assert (shown["address_given"], shown["address_known"], shown["address_blocked_1h"]) == (True, True, 1)
    assert (shown["address_sum_1h"], shown["address_senders_1h"]) == (7, 1)
    assert (shown["device_given"], shown["device_known"], shown["device_sum_30d"]) == (True, False, 8)


def test_shared_documents_count_for_thirty_days_and_stand_at_the_end_for_good() -> None:
    sender = structs.replace(SENDER, documents_shared_us=(NOW_US + 1, NOW_US, NOW_US - 30 * DAY_US + 1))
    receiver = structs.replace(RECEIVER, documents_shared_us=(NOW_US - DAY_US, NOW_US - 30 * DAY_US))
    shown = values(Around(activity(), None, None, None, Window()), sender=sender, receiver=receiver)
    assert list(shown.items())[79:81] == [("sender_documents_shared_30d", 3), ("receiver_documents_shared_30d", 1)]


def test_moments_are_exact_to_the_microsecond() -> None:
    moment = datetime(2261, 3, 1, 12, 30, 1, 999_999, tzinfo=UTC)
    assert from_us(to_us(moment)) == moment
    assert us_or_zero(moment) == to_us(moment)
    assert us_or_zero(None) == 0
    assert (all_to_us([moment, moment]), all_to_us(None)) == ((to_us(moment), to_us(moment)), ())
