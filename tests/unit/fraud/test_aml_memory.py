"""What the watch remembers between transactions, and when it must forget."""

from datetime import UTC, datetime, timedelta

from services.fraud.domain.aml_bounds import Tally
from services.fraud.domain.aml_edges import Edge
from services.fraud.store.aml_edges import Progress
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_tallies import Tallies

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def paid(*numbers: int) -> list[Edge]:
    return [Edge(number, 0, number, 0, f"transfer-{number}", "ann", "ben", 5, number, number) for number in numbers]


def waits(memory: Memory, progress: Progress, *, limit: int = 100) -> list[int] | None:
    page = memory.waiting(progress, settled_before=NOW, now=NOW + SECOND, limit=limit)
    return None if page is None else [edge.edge_no for edge in page]


def test_what_was_heard_waits_until_it_is_judged() -> None:
    memory = Memory()
    memory.follow(paid(1, 2, 3), NOW)
    memory.follow(paid(4), NOW + SECOND / 2)
    assert waits(memory, Progress(4, 0), limit=2) == [1, 2]
    memory.note_judged(2)
    memory.agree(Progress(4, 2))
    assert waits(memory, Progress(4, 2)) == [3], "the fourth has not settled"


def test_what_another_process_heard_or_judged_makes_it_forget() -> None:
    for moved in (Progress(5, 0), Progress(3, 1)):
        memory = Memory()
        memory.tallies.put("ann", Tally(0, 0, 0, 0, is_short=False))
        memory.follow(paid(1, 2, 3), NOW)
        memory.agree(Progress(3, 0))
        assert len(memory.tallies) == 1
        memory.agree(moved)
        assert len(memory.tallies) == 0
        assert waits(memory, moved) is None, "what is not judged was forgotten"
        assert waits(memory, Progress(moved.heard_up_to, moved.heard_up_to)) == []


def test_what_waits_is_bounded_and_then_read_from_the_table() -> None:
    memory = Memory(waiting_max=3)
    memory.follow(paid(1, 2, 3), NOW)
    assert waits(memory, Progress(3, 0)) == [1, 2, 3]
    memory.follow(paid(4), NOW)
    assert waits(memory, Progress(4, 0)) is None
    memory.follow(paid(5), NOW)
    assert waits(memory, Progress(5, 3)) is None
    assert waits(memory, Progress(5, 4)) == [5]


def test_tallies_follow_those_who_are_remembered_and_the_longest_unused_go_first() -> None:
    tallies = Tallies(tallies_max=2)
    for user_id in ("ann", "cat", "dan"):
        tallies.put(user_id, Tally(-(1 << 62), 0, 0, 0, is_short=False))
    tallies.get("ann")
    tallies.shrink()
    assert (tallies.get("cat"), len(tallies)) == (None, 2)
    tallies.follow(paid(1, 2))
    ann = tallies.get("ann")
    assert ann is not None
    assert (ann.out_minor, ann.ins, ann.in_minor) == (10, 0, 0)
    assert tallies.missing(paid(1)) == ["ben"]
