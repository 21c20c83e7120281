"""When a dead process is started again."""

from tallystick.stack.restarts import RestartPolicy


def test_a_process_that_lived_is_started_again_at_once() -> None:
    assert RestartPolicy().delay_after(60.0) == 0.0


def test_the_delay_grows_with_quick_deaths_in_a_row_up_to_five_seconds() -> None:
    policy = RestartPolicy()
    assert [policy.delay_after(0.1) for _ in range(8)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_life_of_five_seconds_makes_earlier_deaths_forgotten() -> None:
    policy = RestartPolicy(quick_deaths=6)
    assert policy.delay_after(5.0) == 0.0
    assert policy.delay_after(4.9) == 0.0
    assert policy.delay_after(4.9) == 0.25
