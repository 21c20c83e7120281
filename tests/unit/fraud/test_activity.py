"""What happened around a subject, compared with counting it all again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.fraud.domain.activity import EVENTS_MAX, HOUR_US, MONTH_US, WINDOWS_US, Activity, Event

START_US = 1_800_000_000_000_000
STEPS_US = st.sampled_from(
    [0, 1, HOUR_US - 1, HOUR_US, HOUR_US + 1, 24 * HOUR_US, 7 * 24 * HOUR_US - 1, 7 * 24 * HOUR_US, MONTH_US]
)
EVENTS = st.lists(
    st.tuples(STEPS_US, st.integers(1, 1_000), st.sampled_from(["", "a", "b", "c"]), st.booleans()), max_size=30
)


def counted(events: list[Event], now_us: int) -> tuple[list[int], list[int], tuple[int, int]]:
    """Count from scratch: figures, pair with a, blocked."""
    within = [[one for one in events if now_us - window < one.at_us and not one.blocked] for window in WINDOWS_US]
    figures = [figure for some in within for figure in (len(some), sum(one.usd_minor for one in some))]
    figures += [len({one.other for one in some} - {""}) for some in within]
    pair = [[one for one in some if one.other == "a"] for some in within]
    blocked = [one for one in events if one.blocked]
    return (
        figures,
        [figure for some in pair for figure in (len(some), sum(one.usd_minor for one in some))],
        (
            sum(now_us - WINDOWS_US[0] < one.at_us for one in blocked),
            sum(now_us - WINDOWS_US[1] < one.at_us for one in blocked),
        ),
    )


@settings(max_examples=300)
@given(EVENTS, STEPS_US)
def test_every_figure_is_what_counting_gives(steps: list[tuple[int, int, str, bool]], last_us: int) -> None:
    activity, events, now_us = Activity(0, keeps_pairs=True), list[Event](), START_US
    for step_us, usd_minor, other, blocked in steps:
        now_us += step_us
        event = Event(now_us, usd_minor, other, blocked)
        before = counted(events, now_us)
        assert (activity.figures_at(now_us), list(activity.pair("a", now_us)), activity.blocked(now_us)) == before
        activity.uncount(event.other, activity.count(*event), blocked=event.blocked)
        assert (activity.figures_at(now_us), list(activity.pair("a", now_us)), activity.blocked(now_us)) == before
        activity.count(*event)
        events.append(event)
    now_us += last_us
    after = counted(events, now_us)
    assert (activity.figures_at(now_us), list(activity.pair("a", now_us)), activity.blocked(now_us)) == after
    again = Activity.of(events, now_us, keeps_pairs=True)
    assert (again.figures_at(now_us), list(again.pair("a", now_us)), again.blocked(now_us)) == after
    latest_us = max((one.at_us for one in events if not one.blocked), default=0)
    assert activity.idle_us(now_us) == min(now_us - latest_us, MONTH_US)
    with_a = max((one.at_us for one in events if one.other == "a" and not one.blocked), default=0)
    assert activity.knows("a", now_us) == (with_a > now_us - MONTH_US)


def test_a_subject_with_more_events_than_are_remembered_keeps_the_newest() -> None:
    activity = Activity(0, keeps_pairs=True)
    for number in range(EVENTS_MAX + 2_001):
        activity.count(START_US + number, 1, f"u{number // 2}", False)
    figures = activity.figures_at(START_US + EVENTS_MAX + 2_001)
    assert len(activity) == EVENTS_MAX
    assert figures[:2] == [EVENTS_MAX, EVENTS_MAX]
    assert figures[8:] == [EVENTS_MAX // 2 + 1] * 4
    assert activity.pair("u0", START_US + EVENTS_MAX + 2_001)[0] == 0


def test_a_subjects_time_never_goes_back() -> None:
    activity = Activity.of([Event(START_US, 1, "a", blocked=False), Event(START_US + 5, 1, "a", blocked=True)], 0)
    activity.count(START_US - HOUR_US, 1, "b", False)
    assert activity.figures_at(START_US + HOUR_US)[0] == 1, "it counts from the newest time on"
    assert activity.last_us == START_US + 5
