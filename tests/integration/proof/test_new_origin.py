"""`tallystick new-origin`: for whoever has lost what was signed, and for nobody else."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
import typer
from typer.testing import CliRunner, Result

from libs.common.db.migrate import migrate_all
from libs.common.proof.departure import Departure
from libs.common.proof.signed_note import open_log_note
from services.ledger.store.witness import write_witness
from services.ledger.use_cases.check_witness import WitnessTrouble, compare_with_witness
from tallystick.commands.new_origin import new_origin_command
from tallystick.stack.errors import StackError, StackNotRunning
from tallystick.stack.ledger_trust import retired_vkeys_file, signing_key, trusted_vkeys
from tallystick.stack.postgres import LocalPostgres
from tallystick.stack.stack_database import open_database
from tallystick.stack.stack_secrets import load_or_make_keys, load_or_make_secrets
from tests.support.api_world import ROLE_PASSWORD
from tests.support.stored_journal import StoredJournal

RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A stack's folder, as `up` leaves it."""
    load_or_make_secrets(tmp_path)
    load_or_make_keys(tmp_path / "keys")
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


async def lose_the_tail(dsn: str, data: Path, *, kept: int = 3, seen: int = 9) -> None:
    connection = await asyncpg.connect(dsn)
    journal = StoredJournal(connection)
    journal.origin, journal.key = load_or_make_secrets(data).ledger_origin, signing_key(data)
    await journal.grow(kept)
    if seen > kept:
        await journal.grow(seen)
    write_witness(data / "checkpoints", 0, journal.note)
    await journal.cut(kept)
    await connection.close()


async def trouble_of(dsn: str, data: Path) -> WitnessTrouble | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await compare_with_witness(connection, data / "checkpoints", trusted_vkeys(data), 0)
    finally:
        await connection.close()


async def notes_of(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch("SELECT note FROM ledger.origins")]
    finally:
        await connection.close()


def run(data: Path, *options: str, answer: str | None = None) -> Result:
    app = typer.Typer()
    app.command()(new_origin_command)
    arguments = ["--data", str(data), "--reason", "the disk and its backups burned", *options]
    return RUNNER.invoke(app, arguments, input=answer)


def test_a_lost_tail_is_left_behind_under_a_new_name(admin_dsn: str, data: Path) -> None:
    asyncio.run(lose_the_tail(admin_dsn, data))
    before = load_or_make_secrets(data).ledger_origin
    old_keys = trusted_vkeys(data)
    result = run(data, "--postgres", admin_dsn, "--yes")
    assert result.exit_code == 0, result.output
    assert "tail_cut: the journal has 3 records, and 9 were signed" in result.output
    assert load_or_make_secrets(data).ledger_origin == f"{before}/origin-2"
    assert [key.name for key in trusted_vkeys(data)] == [f"{before}/origin-2", before]
    assert asyncio.run(trouble_of(admin_dsn, data)) is None
    [note] = asyncio.run(notes_of(admin_dsn))
    said = Departure.parse(open_log_note(note, old_keys))
    assert (said.origin, said.floor.size, said.reason) == (f"{before}/origin-2", 9, "the disk and its backups burned")


def test_it_asks_first_and_no_changes_nothing(admin_dsn: str, data: Path) -> None:
    asyncio.run(lose_the_tail(admin_dsn, data))
    before = load_or_make_secrets(data)
    assert run(data, "--postgres", admin_dsn, answer="n\n").exit_code == 1
    assert asyncio.run(notes_of(admin_dsn)) == []
    assert load_or_make_secrets(data) == before
    assert retired_vkeys_file(data).read_text() == ""
    assert run(data, "--postgres", admin_dsn, answer="y\n").exit_code == 0


def test_a_journal_that_has_lost_nothing_gets_no_new_origin(admin_dsn: str, data: Path) -> None:
    asyncio.run(lose_the_tail(admin_dsn, data, kept=9))
    result = run(data, "--postgres", admin_dsn, "--yes")
    assert isinstance(result.exception, StackError)
    assert "no new origin is needed" in str(result.exception)


def test_nothing_departs_from_a_checkpoint_that_is_not_the_ledgers(admin_dsn: str, data: Path) -> None:
    asyncio.run(lose_the_tail(admin_dsn, data))
    write_witness(data / "checkpoints", 0, "x\n")
    result = run(data, "--postgres", admin_dsn, "--yes")
    assert isinstance(result.exception, StackError)
    assert "proves nothing" in str(result.exception)


def test_a_command_that_was_cut_off_is_finished_not_repeated(admin_dsn: str, data: Path) -> None:
    asyncio.run(lose_the_tail(admin_dsn, data))
    secrets = (data / "secrets.json").read_text()
    assert run(data, "--postgres", admin_dsn, "--yes").exit_code == 0
    retired = retired_vkeys_file(data).read_text()
    (data / "secrets.json").write_text(secrets)  # as if it had ended before
    assert run(data, "--postgres", admin_dsn, "--yes").exit_code == 0
    assert load_or_make_secrets(data).ledger_origin.endswith("/origin-2")
    assert retired_vkeys_file(data).read_text() == retired
    assert len(asyncio.run(notes_of(admin_dsn))) == 1


def test_a_stack_that_cannot_start_has_its_database_all_the_same(data: Path) -> None:
    with pytest.raises(StackNotRunning), open_database(data, None):
        pass
    server = LocalPostgres(data / "postgres", log_file=data / "logs" / "postgres.log")
    server.start()
    try:
        migrate_all(server.dsn, {"ledger": ROLE_PASSWORD})
        asyncio.run(lose_the_tail(server.dsn, data))
    finally:
        server.stop()
    result = run(data, "--yes")
    assert result.exit_code == 0, result.output
    with open_database(data, None) as dsn:
        assert asyncio.run(trouble_of(dsn, data)) is None


def test_a_reason_is_wanted(data: Path) -> None:
    app = typer.Typer()
    app.command()(new_origin_command)
    for reason in (" ", "x" * 501):
        result = RUNNER.invoke(app, ["--data", str(data), "--reason", reason])
        assert isinstance(result.exception, StackError)


def test_an_edited_list_of_retired_keys_is_named(data: Path) -> None:
    retired_vkeys_file(data).write_text("nonsense\n")
    with pytest.raises(StackError, match=r"ledger-retired\.vkeys"):
        trusted_vkeys(data)
    retired_vkeys_file(data).unlink()
    assert [key.name for key in trusted_vkeys(data)] == [load_or_make_secrets(data).ledger_origin]
