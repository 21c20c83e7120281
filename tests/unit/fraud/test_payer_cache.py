"""What memory may keep, and when it must forget."""

from services.fraud.domain.payer import Payer
from services.fraud.domain.window import Window
from services.fraud.store.payer_cache import PayerCache


def payer(user_id: str, *, version: int = 1, slots: int = 1) -> Payer:
    return Payer(user_id, version, "retail", 1, 1, 0, Window((number, 10) for number in range(slots)))


def test_a_release_that_follows_what_is_remembered_gives_the_slot_back() -> None:
    cache = PayerCache()
    cache.put(payer("ann", version=3, slots=2))

    cache.release("ann", version=4, slots=[(1, 10)])

    kept = cache.get("ann")
    assert kept is not None
    assert (kept.version, kept.window.day_count, kept.window.day_sum_minor) == (4, 1, 10)


def test_a_release_after_a_change_nobody_told_us_of_drops_the_payer() -> None:
    cache = PayerCache()
    cache.put(payer("ann", version=3))

    cache.release("ann", version=5, slots=[(0, 10)])

    assert cache.get("ann") is None


def test_the_longest_unused_payers_go_when_there_are_too_many() -> None:
    cache = PayerCache(payers_max=10)
    for number in range(11):
        cache.put(payer(f"user-{number}"))
    cache.get("user-0")

    cache.shrink(slots_taken=1)

    assert len(cache) == 9
    assert cache.get("user-0") is not None
    assert cache.get("user-1") is None


def test_slots_are_bounded_as_well_as_payers() -> None:
    cache = PayerCache(slots_max=100)
    for number in range(5):
        cache.put(payer(f"user-{number}", slots=20))
    cache.shrink(slots_taken=0)
    assert len(cache) == 5

    cache.put(payer("user-5", slots=20))
    cache.shrink(slots_taken=20)
    assert len(cache) == 4
