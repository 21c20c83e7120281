"""What a customer is shown of his limits before he sends."""

from services.fraud.domain.limit_standing import LimitStanding, standings_of
from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.window import DAY_US, HOUR_US, Window

NOW_US = 1_800_000_000_000_000
LIMITS = LimitProfile("retail", 1, 100, 1_000, 50, 200, version=1, set_by={"daily_amount": "tier"})


def test_while_nothing_is_used_nothing_resets() -> None:
    assert standings_of(LIMITS, Window()) == (
        LimitStanding("minimum_amount", "minor", 1, "profile"),
        LimitStanding("maximum_amount", "minor", 100, "profile"),
        LimitStanding("daily_amount", "minor", 1_000, "tier", 0),
        LimitStanding("hourly_count", "count", 50, "profile", 0),
        LimitStanding("daily_count", "count", 200, "profile", 0),
    )


def test_a_limit_resets_when_the_oldest_of_its_window_leaves_it() -> None:
    window = Window()
    window.take(NOW_US - 2 * HOUR_US, 30)
    window.take(NOW_US - 1, 40)
    window.advance(NOW_US)
    _, _, amount, hourly, daily = standings_of(LIMITS, window)
    assert (amount.used, amount.resets_at_us) == (70, NOW_US - 2 * HOUR_US + DAY_US)
    assert (hourly.used, hourly.resets_at_us) == (1, NOW_US - 1 + HOUR_US)
    assert (daily.used, daily.resets_at_us) == (2, NOW_US - 2 * HOUR_US + DAY_US)
