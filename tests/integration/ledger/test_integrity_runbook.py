"""The runbook's commands, taken from the document and run on a ledger whose balance was changed."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.stack.stack_secrets import load_or_make_secrets
from tests.integration.ledger.books import KEY, SHARD, Books
from tests.support.api_world import MovedClock, admin_connection
from tests.support.ledger_builders import id_of, leg, screened

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "LedgerIntegrityBroken.md"
COMMANDS = [line.strip() for line in RUNBOOK.read_text().split("\n") if line.strip().startswith("tallystick ")]


def run(folder: Path, dsn: str, line: str, **names: str) -> tuple[int, str]:
    words = [names.get(word, word) for word in shlex.split(line)[1:]]
    finished = subprocess.run(
        [sys.executable, "-m", "tallystick.cli", *words, "--data", str(folder), "--postgres", dsn],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=120,
    )
    return finished.returncode, finished.stdout + finished.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a stack's folder with its secrets and the ledger's key."""
    load_or_make_secrets(tmp_path)
    (tmp_path / "keys").mkdir(exist_ok=True)
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "keys" / "ledger-signing.pem").write_bytes(pem)
    return tmp_path


async def test_the_runbook_finds_the_damage_and_lets_the_ledger_go_on(
    books: Books, admin_dsn: str, ledger_dsn: str, folder: Path
) -> None:
    signer = Signer(load_or_make_secrets(folder).ledger_origin, KEY)
    books.post._signer = signer
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)))
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.accounts SET posted_minor = 9 WHERE account_id = $1", id_of("bob"))
    found = await verify_ledger(ledger_dsn, parse_vkeys(signer.vkey), monotonic_seconds=monotonic_seconds)
    hot = HotConnection(ledger_dsn, "test-auditor")
    await RecordVerification(hot, Outbox("ledger", books.publisher, hot), signer, MovedClock(), SHARD)(found)
    await hot.close()
    async with admin_connection(admin_dsn) as connection:
        finding_id = await connection.fetchval("SELECT finding_id::text FROM ledger.findings")
    names = {"ACCOUNT": id_of("bob"), "TRANSFER": id_of("t"), "FINDING": finding_id, "ADMINISTRATOR": new_id()}
    asked = run(folder, admin_dsn, "tallystick reconcile --repair")
    assert asked[0] == 1
    assert "Do that?" in asked[1]
    outcomes = [run(folder, admin_dsn, line, **names) for line in COMMANDS]
    assert [code for code, _ in outcomes] == [1, 1, 0, 2, 0, 0], outcomes
    assert "posted_minor: stored 9, computed 301" in outcomes[0][1]
    assert f"{id_of('bob')}: posted_minor from 9 to 301" in outcomes[3][1]
    assert finding_id in outcomes[4][1]
    assert "the ledger goes on" in outcomes[5][1]
    assert run(folder, admin_dsn, "tallystick verify --since-last")[0] == 0
    assert run(folder, admin_dsn, "tallystick verify --transfer x")[0] == 2
    assert run(folder, admin_dsn, f"tallystick verify --account {new_id()}")[0] == 2
