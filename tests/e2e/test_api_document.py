"""What docs/api.md tells newcomers to paste works as pasted, on a stack with rate limits as they have one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.api_client import Api
from tests.e2e.second_gateway import second_gateway

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
RESTART = 'cp "$DATA/without-limits.json" "$DATA/stack.json"'
"""What starting the stack again with --no-rate-limits changes: the gateway there is."""


@pytest.fixture
def data(api: Api, tmp_path: Path) -> Iterator[Path]:
    """The folder of a stack with limits: the shared one, behind a gateway of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mail").symlink_to(api.folder / "mail")
    stack = json.loads((api.folder / "stack.json").read_text())
    (folder / "without-limits.json").write_text(json.dumps(stack))
    with second_gateway(api, tmp_path / "orders", GATEWAY_RATE_LIMITS="true") as gateway:
        (folder / "stack.json").write_text(json.dumps({**stack, "api": str(gateway.http.base_url).rstrip("/")}))
        yield folder


@pytest.mark.timeout(900)  # a stack with neighbours takes its time; alone it is twenty seconds
def test_every_block_of_the_document_works_as_pasted(data: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == DOCUMENT.read_text().count("```") / 2, "every example is one that can be pasted"
    assert "seq 64" in blocks[-1], "the last block alone asks for a stack without limits"
    here = tmp_path / "here"
    here.mkdir()
    (here / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join([*blocks[:-1], RESTART, blocks[-1]])],
        check=False,
        cwd=here,
        env=os.environ | {"DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=840,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    for part in (
        '"email_verified":true',
        '"name":"Groceries"',
        '"kind":"proof_of_address"',
        "image/png\n",
        '"status":"posted"',
        "idempotency_key_reused\n",
        "insufficient_funds\n",
        "403\n8750\n",
        "event: transfer.posted\n",
        "verified: transfer.posted\n",
        '"pointer":"/asset"',
        "account_not_found\n",
        "ratelimit: ",
        "log-in: 200\nlog-in: 429\n",
        "made: 1\n",
    ):
        assert part in said, said
    assert re.search(r"^4,line-3-\w+,[0-9a-f-]{36},refused,insufficient_funds\r?$", said, re.MULTILINE), said
    assert len(re.findall(r"^(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}$", said, re.MULTILINE)) == 10, "recovery codes"
    assert "\nprofile.json " in said, said
    for action in ("customer.register", "session.begin", "account.open", "transfer.create", "batch.create"):
        assert re.search(rf"^{action} done - 127\.0\.0\.1 [0-9a-f-]{{36}}$", said, re.MULTILINE), (action, said)
    assert re.search(r"^ +64 \{.*\"status\":\"posted\"", said, re.MULTILINE), said
    assert [path.name for path in here.iterdir()] == [".venv"]
