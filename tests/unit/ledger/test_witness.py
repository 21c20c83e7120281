"""How a journal stands to what was last seen of it, and how origins are numbered."""

import pytest

from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.departure import Departure
from services.ledger.use_cases.check_witness import is_departed, judge
from services.ledger.use_cases.start_origin import next_origin

ROOT, OTHER = bytes(32), bytes(range(32))
FLOOR = Checkpoint("ledger.example/0", 9, ROOT)


@pytest.mark.parametrize(
    ("size", "root", "kind"),
    [
        (9, ROOT, None),
        (10, ROOT, None),
        (8, None, "tail_cut"),
        (0, None, "tail_cut"),
        (9, OTHER, "record_altered"),
        (10, None, "record_altered"),
    ],
)
def test_a_journal_is_as_long_as_what_was_seen_and_begins_with_it(
    size: int, root: bytes | None, kind: str | None
) -> None:
    trouble = judge(FLOOR, size=size, root=root)
    assert (None if trouble is None else trouble.kind) == kind


@pytest.mark.parametrize(
    ("floor", "left_behind"),
    [
        (FLOOR, True),
        (Checkpoint(FLOOR.origin, 8, OTHER), True),
        (Checkpoint(FLOOR.origin, 10, ROOT), False),
        (Checkpoint("ledger.example/0/origin-2", 9, ROOT), False),
    ],
)
def test_only_what_was_signed_up_to_the_departure_is_left_behind(floor: Checkpoint, *, left_behind: bool) -> None:
    departure = Departure("ledger.example/0/origin-2", FLOOR, 0, "", "", "")
    assert is_departed(floor, [departure]) is left_behind
    assert not is_departed(floor, [])


@pytest.mark.parametrize(
    ("current", "following"),
    [
        ("ledger.example/0", "ledger.example/0/origin-2"),
        ("tallystick.local/12345678", "tallystick.local/12345678/origin-2"),
        ("ledger.example/0/origin-2", "ledger.example/0/origin-3"),
        ("ledger.example/0/origin-9", "ledger.example/0/origin-10"),
    ],
)
def test_every_origin_has_a_name_of_its_own(current: str, following: str) -> None:
    assert next_origin(current) == following
