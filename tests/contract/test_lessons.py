"""Every test that the failures of others are answered with is there, and is one for each of them."""

import re

import pytest

from tests.support.documented_tests import ROOT, check_named_tests

LINES = (ROOT / "docs/lessons.md").read_text().splitlines()
ROWS = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in LINES if re.match(r"\| [A-Z0-9]", line)]


def test_there_are_lessons_of_every_kind() -> None:
    assert len(ROWS) > 40
    assert {len(row) for row in ROWS} == {5}


@pytest.mark.parametrize("row", ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_each_lesson_names_tests_that_exist_or_why_it_cannot_apply(row: list[str]) -> None:
    _, seen_at, why_not, tried_by, fails_when = row
    assert "https://" in seen_at or re.search(r" v\d", seen_at), "a thread, or the version that was measured"
    if tried_by == "-":
        assert why_not.startswith("cannot apply: ")
        return
    check_named_tests(tried_by)
    assert len(fails_when) > 10, "what was broken to see it fail"
