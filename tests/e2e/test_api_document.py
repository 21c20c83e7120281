"""What docs/api.md tells newcomers to paste works as pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.api_client import Api

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.timeout(300)  # a stack with neighbours takes its time; alone it is ten seconds
def test_every_block_of_the_document_works_as_pasted(api: Api, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == DOCUMENT.read_text().count("```") / 2, "every example is one that can be pasted"
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks)],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"DATA": str(api.folder)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        '"email_verified":true',
        '"recovery_codes":',
        '"name":"Groceries"',
        '"status":"posted"',
        "idempotency_key_reused\n",
        "insufficient_funds\n",
        "8750\n",
        "403\n",
        "event: transfer.posted\n",
        "verified: webhook.test\n",
        '"pointer":"/asset"',
        "account_not_found\n",
    ):
        assert said in done.stdout, done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [".venv"]
