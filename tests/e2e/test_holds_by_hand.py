"""What docs/holds-by-hand.md tells people to paste works as pasted, and docs/fraud.md shows what comes of it."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api_client import Api

DOCS = Path(__file__).parents[2] / "docs"


def timeless(explanation: str) -> Any:
    """Return an explanation without what differs from run to run: ages, and how many rules are shipped."""
    text = re.sub(r"verified \d+ seconds ago", "verified … seconds ago", explanation)
    text = re.sub(r'_age_seconds": \[\d+\]', '_age_seconds": ["…"]', text)
    return json.loads(re.sub(r" of \d+ rules hit", " of … rules hit", text))


@pytest.mark.timeout(600)  # two hundred processes take their time beside neighbours; alone it is fifteen seconds
def test_every_block_works_as_pasted_and_the_explanation_is_the_one_that_is_shown(api: Api, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / "holds-by-hand.md").read_text(), re.DOTALL)
    assert len(blocks) == 10
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks)],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"DATA": str(api.folder)},
        capture_output=True,
        text=True,
        timeout=570,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    for part in (
        '"reasons":["kyc_pending"]',
        '"status":"voided"',
        '"reasons":["review"]',
        '"code":"second_person_required"',
        '"code":"transfer_not_permitted"',
        '"used_count":0',
        '"limit":"maximum_amount","limit_minor":100000000',
        '"limit":"hourly_count","limit_count":50,"used_count":50',
        '"resets_at":"20',
        '"code":"ruleset_invalid"',
        '"risk":"high"',
        '"live_verdict":"approve","shadow_verdict":"block"',
        '"code":"ruleset_needs_approval"',
        '"code":"unusual_activity"',
        "['Exactly 998.77 USD.']",
    ):
        assert part in said, said
    answered = re.findall(r"^HTTP (\d{3})$", done.stderr, re.MULTILINE)
    named = re.findall(r"# (\d{3})\b", "".join(blocks))
    assert [one for one in answered if one >= "400"] == [one for one in named if one >= "400"]
    assert answered.count("202") >= named.count("202")  # what a slow machine has not decided yet is 202 as well
    assert re.search(r"^\d+ decisions: \{", said.splitlines()[-1])

    [told] = [timeless(line) for line in said.splitlines() if line.startswith('{"sentence"')]
    [shown] = re.findall(r'```json\n(\{"sentence".*?)```', (DOCS / "fraud.md").read_text(), re.DOTALL)
    example = timeless(shown)
    assert example.keys() == told.keys()
    for name in ("rules", "limits", "lists"):
        assert [one for one in example.pop(name) if one not in told[name]] == []
        del told[name]
    assert example == told
