"""What docs/first-transfer.md tells people to paste works as pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.api_client import Api

DOCUMENT = Path(__file__).parents[2] / "docs" / "first-transfer.md"


def test_every_block_of_the_document_works_as_pasted(api: Api, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 5
    (tmp_path / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks)],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"DATA": str(api.folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"status":"posted"') >= 2
    assert '"posted_minor":1250' in done.stdout
    assert '"code":"insufficient_funds"' in done.stdout
    assert "balance_after" in done.stdout
    assert '"balance_sheet"' in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [".venv"]
    assert "Verified: the tables hold what the ledger signed." in done.stdout
    assert "All agree" in done.stdout
