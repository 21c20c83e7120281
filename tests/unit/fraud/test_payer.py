"""A payer ahead of what is written: he follows, or is as he was."""

from services.fraud.domain.payer import Payer
from services.fraud.domain.window import DAY_US, Window

NOON_US = 1_800_000_000_000_000


def test_what_was_not_written_is_undone_also_what_had_expired_meanwhile() -> None:
    payer = Payer("ann", 3, "retail", 1, 1, NOON_US, Window([(NOON_US - DAY_US + 5, 40), (NOON_US, 2)]))
    payer.window.advance(NOON_US)
    payer.window.advance(NOON_US + 10)
    payer.window.take(NOON_US + 10, 100)
    payer.window.take(NOON_US + 10, 200)
    assert (payer.window.day_count, payer.window.day_sum_minor) == (3, 302)

    payer.undo(slots=2)

    assert (payer.version, payer.last_decided_us) == (3, NOON_US)
    assert (payer.window.day_count, payer.window.day_sum_minor) == (2, 42)


def test_what_was_written_moves_his_version_and_never_his_time_back() -> None:
    payer = Payer("ann", 3, "retail", 1, 1, NOON_US, Window())
    payer.follow(NOON_US + 5)
    assert (payer.version, payer.last_decided_us) == (4, NOON_US + 5)
    payer.follow(NOON_US - 5)
    assert (payer.version, payer.last_decided_us) == (5, NOON_US + 5)
