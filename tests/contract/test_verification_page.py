"""docs/verification.md draws what kyc's table of transitions says now."""

from services.kyc.domain.verification import PHASES, TRANSITIONS
from tools.verification_page import PAGE, page


def test_the_page_of_the_states_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with `make verification`"


def test_each_move_is_drawn_once_and_each_state_listed() -> None:
    arrows = [line for line in page().splitlines() if "-->" in line and "[*]" not in line]
    assert len(arrows) == len(set(arrows)) == len(TRANSITIONS)
    assert all(f"| `{status}` |" in page() for status in PHASES)
