"""Every test that the threat model names is there."""

import re

import pytest

from tests.support.documented_tests import ROOT, check_named_tests

LINES = (ROOT / "docs/security.md").read_text().splitlines()
THREATS = [line for line in LINES if re.match(r"\| [STRIDE] \|", line)]
TRIED = [line for line in LINES[LINES.index("## Attacks tried by hand") :] if re.match(r"\| [A-Z]\w", line)]


def test_every_letter_of_stride_has_its_threats() -> None:
    assert {line[2] for line in THREATS} == set("STRIDE")


def test_attacks_were_tried() -> None:
    assert len(TRIED) > 10


@pytest.mark.parametrize("threat", THREATS + TRIED, ids=[str(number) for number in range(len(THREATS + TRIED))])
def test_each_threat_names_tests_that_exist(threat: str) -> None:
    check_named_tests(threat)
