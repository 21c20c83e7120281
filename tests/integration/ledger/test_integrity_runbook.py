"""The runbook's commands, taken from the document and run on a ledger whose balance was changed."""

import shlex
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.stack.stack_secrets import load_or_make_secrets
from tests.integration.ledger.books import KEY, SHARD, Books
from tests.support.api_world import ROLE_PASSWORD, MovedClock, admin_connection
from tests.support.command_line import tallystick
from tests.support.ledger_builders import id_of, leg, screened

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "LedgerIntegrityBroken.md"
COMMANDS = [line.strip() for line in RUNBOOK.read_text().split("\n") if line.strip().startswith("tallystick ")]


def run(folder: Path, dsn: str, line: str, **names: str) -> tuple[int, str]:
    words = [names.get(word, word) for word in shlex.split(line)[1:]]
    finished = tallystick(*words, "--data", str(folder), "--postgres", dsn)
    return finished.returncode, finished.stdout + finished.stderr


async def register(admin_dsn: str, **people: str) -> dict[str, str]:
    """Return name → id of customers of accounts, each of whom has the role that is given."""
    await migrate_services(admin_dsn, {"accounts": ROLE_PASSWORD})
    ids = {name: new_id() for name in people}
    async with admin_connection(admin_dsn) as connection:
        for name, role in people.items():
            await connection.execute(
                "INSERT INTO accounts.customers (user_id, email, password_hash, full_name, roles, profile, status, "
                "version, registered_at, changed_at) "
                "VALUES ($1, $2, '', $2, ARRAY['customer', $3], 'retail', $4, 1, now(), now())",
                ids[name],
                name,
                role,
                "closed" if name == "retired" else "active",
            )
    return ids


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
    await books.outcomes.flush()
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.accounts SET posted_minor = 9 WHERE account_id = $1", id_of("bob"))
    found = await verify_ledger(ledger_dsn, parse_vkeys(signer.vkey), monotonic_seconds=monotonic_seconds)
    hot = HotConnection(ledger_dsn, "test-auditor")
    await RecordVerification(hot, Outbox("ledger", books.publisher, hot), signer, MovedClock(), SHARD)(found)
    await hot.close()
    async with admin_connection(admin_dsn) as connection:
        finding_id = await connection.fetchval("SELECT finding_id::text FROM ledger.findings")
    people = await register(admin_dsn, admin="admin")
    names = {"ACCOUNT": id_of("bob"), "TRANSFER": id_of("t"), "FINDING": finding_id, "ADMINISTRATOR": people["admin"]}
    asked = run(folder, admin_dsn, f"tallystick reconcile --repair --by {people['admin']}")
    assert asked[0] == 1
    assert "The ledger is halted for it" in asked[1]
    assert "Do that?" in asked[1]
    outcomes = [run(folder, admin_dsn, line, **names) for line in COMMANDS]
    assert [code for code, _ in outcomes] == [1, 1, 0, 2, 0, 0], outcomes
    assert "posted_minor: stored 9, computed 301" in outcomes[0][1]
    assert "tallystick reconcile --repair" in outcomes[0][1]
    assert "--since-last" not in outcomes[0][1]
    assert "Next: docs/runbooks/LedgerIntegrityBroken.md" in outcomes[0][1]
    assert "Next: the ledger is still halted" in outcomes[2][1]
    assert "Next: the ledger is still halted" in outcomes[3][1]
    assert f"{id_of('bob')}: posted_minor from 9 to 301" in outcomes[3][1]
    assert finding_id in outcomes[4][1]
    assert "the ledger goes on" in outcomes[5][1]
    good = run(folder, admin_dsn, "tallystick verify --since-last")
    assert good[0] == 0
    assert "`--since-last` goes on from there" in good[1]
    assert run(folder, admin_dsn, "tallystick verify --transfer x")[0] == 2
    assert run(folder, admin_dsn, f"tallystick verify --account {new_id()}")[0] == 2


async def test_the_journal_keeps_nobody_but_an_administrator_as_who_released_or_repaired(
    books: Books, admin_dsn: str, folder: Path
) -> None:
    books.post._signer = Signer(load_or_make_secrets(folder).ledger_origin, KEY)
    await books.fund(bob=1)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.accounts SET posted_minor = 9 WHERE account_id = $1", id_of("bob"))
    release, repair = f"tallystick release {new_id()} --reason why --by", "tallystick reconcile --repair --yes --by"
    code, said = run(folder, admin_dsn, f"{release} {new_id()}")
    assert (code, "cannot be looked up in accounts" in said) == (1, True)
    people = await register(admin_dsn, customer="customer", operator="operator", retired="admin")
    refusals = dict.fromkeys(people.values(), "no active administrator") | {new_id(): "there is no user"}
    for person, why in (refusals | {"bob": "GET /api/v1/me"}).items():
        code, said = run(folder, admin_dsn, f"{release} {person}")
        assert (code, why in said) == (1, True), said
    code, said = run(folder, admin_dsn, f"{repair} {people['customer']}")
    assert (code, "no active administrator" in said) == (2, True), said
    code, said = run(folder, admin_dsn, "tallystick reconcile --repair --yes")
    assert (code, "--by is missing" in said) == (2, True), said
    async with admin_connection(admin_dsn) as connection:
        kinds = await connection.fetch("SELECT kind FROM ledger.journal ORDER BY journal_index DESC LIMIT 1")
        assert await connection.fetchval("SELECT count(*) FROM ledger.repairs") == 0
    assert [row["kind"] for row in kinds] == ["transfer.posted"]
