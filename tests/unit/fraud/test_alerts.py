"""The states of an alert: each can be reached, and what is closed stays closed."""

from services.fraud.domain.alerts import LEGAL_MOVES


def test_an_alert_is_closed_only_by_whoever_has_taken_it() -> None:
    for state, followers in LEGAL_MOVES.items():
        closing = {follower for follower in followers if follower.startswith("closed_")}
        assert bool(closing) == (state == "in_review")
        if state.startswith("closed_"):
            assert followers == ()


def test_every_state_can_be_reached_and_what_is_taken_can_be_given_back() -> None:
    assert {follower for followers in LEGAL_MOVES.values() for follower in followers} == set(LEGAL_MOVES)
    assert "open" in LEGAL_MOVES["in_review"]
