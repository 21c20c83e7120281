"""What was seen outside the database binds it: a cut tail, an old backup and a rewritten history are found."""

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.departure import Departure
from libs.common.proof.signed_note import parse_vkeys, sign_note, vkey
from services.ledger.store.witness import WitnessUnreadable, read_witness, witness_file, write_witness
from services.ledger.use_cases.check_witness import WitnessTrouble, compare_with_witness
from services.ledger.use_cases.publish_checkpoints import PublishCheckpoints
from services.ledger.use_cases.start_origin import start_origin
from services.ledger.use_cases.watch_witness import WatchWitness
from tests.support.api_world import RecordingPublisher
from tests.support.ledger_builders import NOW
from tests.support.stored_journal import KEY, ORIGIN, StoredJournal

NEXT = f"{ORIGIN}/origin-2"
VKEYS = f"{vkey(NEXT, KEY.public_key())}\n{vkey(ORIGIN, KEY.public_key())}\n"
SIZES = (3, 256, 300, 70_000)


def watch(hot: HotConnection, folder: Path | None, *, origin: str = ORIGIN) -> WatchWitness:
    return WatchWitness(hot, folder, vkeys=parse_vkeys(VKEYS), origin=origin, shard=0)


async def compare(journal: StoredJournal, folder: Path) -> WitnessTrouble | None:
    return await compare_with_witness(journal.connection, folder, parse_vkeys(VKEYS), 0)


async def kind_of(journal: StoredJournal, folder: Path) -> str | None:
    trouble = await compare(journal, folder)
    return None if trouble is None else trouble.kind


def departure(floor: Checkpoint) -> Departure:
    return Departure(origin=NEXT, floor=floor, shard=0, reason="disk lost", actor="ops", started_at=NOW)


async def test_a_journal_that_grew_since_is_what_was_seen(journal: StoredJournal, tmp_path: Path) -> None:
    assert await compare(journal, tmp_path) is None, "nothing was seen yet"
    for size in SIZES:
        await journal.grow(size)
        assert await compare(journal, tmp_path) is None
        write_witness(tmp_path, 0, journal.note)
        assert await compare(journal, tmp_path) is None


@pytest.mark.parametrize(("kept", "seen"), [(3, 4), (0, 1), (256, 512), (300, 70_000)])
async def test_a_cut_tail_is_found(journal: StoredJournal, tmp_path: Path, kept: int, seen: int) -> None:
    if kept:
        await journal.grow(kept)
    await journal.grow(seen)
    write_witness(tmp_path, 0, journal.note)
    await journal.cut(kept)
    trouble = await compare(journal, tmp_path)
    assert trouble is not None
    assert (trouble.kind, trouble.stored, trouble.computed) == ("tail_cut", str(kept), str(seen))
    assert "new-origin" in trouble.what_to_do


@pytest.mark.parametrize("seen", SIZES[:3])
async def test_an_old_backup_that_went_on_is_found(journal: StoredJournal, tmp_path: Path, seen: int) -> None:
    await journal.grow(2)
    await journal.grow(seen)
    write_witness(tmp_path, 0, journal.note)
    await journal.cut(2)
    await journal.grow(seen + 10, story="another")
    assert await kind_of(journal, tmp_path) == "record_altered"


async def test_lost_hashes_are_found(journal: StoredJournal, tmp_path: Path) -> None:
    await journal.grow(600)
    write_witness(tmp_path, 0, journal.note)
    async with journal.connection.transaction():
        await journal.connection.execute("SET LOCAL session_replication_role = replica")
        await journal.connection.execute("DELETE FROM ledger.journal WHERE journal_index = 599")
        await journal.connection.execute("UPDATE ledger.journal SET journal_index = 700 WHERE journal_index = 598")
    assert await kind_of(journal, tmp_path) == "record_altered"


async def test_a_witness_somebody_edited_is_not_believed(journal: StoredJournal, tmp_path: Path) -> None:
    await journal.grow(5)
    stranger = Ed25519PrivateKey.generate()
    smaller = Checkpoint(ORIGIN, 1, journal.tree.root).text()
    for note in ("", "nonsense", journal.note.replace("\n5\n", "\n4\n"), sign_note(smaller, ORIGIN, stranger)):
        write_witness(tmp_path, 0, note)
        trouble = await compare(journal, tmp_path)
        assert trouble is not None
        assert trouble.kind == "checkpoint_forged"
        assert str(witness_file(tmp_path, 0)) in trouble.detail


async def test_a_folder_that_is_not_there_is_no_empty_folder(journal: StoredJournal, tmp_path: Path) -> None:
    with pytest.raises(WitnessUnreadable, match="missing"):
        await compare(journal, tmp_path / "not mounted")
    witness_file(tmp_path, 0).mkdir()
    with pytest.raises(WitnessUnreadable, match="cannot be read"):
        await compare(journal, tmp_path)


async def test_nothing_is_signed_before_the_witness_was_asked(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    await journal.grow(5)
    witness = watch(hot, tmp_path)
    assert witness.trouble() is not None
    with pytest.raises(Unavailable, match="witness_differs"):
        witness.allow(6)
    await witness.look()
    assert witness.trouble() is None
    witness.allow(6)


async def test_without_a_folder_nothing_binds(journal: StoredJournal, hot: HotConnection) -> None:
    await journal.grow(5)
    witness = watch(hot, None)
    await witness.look()
    await witness.keep(journal.newest)
    assert witness.trouble() is None
    witness.allow(1)


async def test_a_missing_folder_is_not_ready_and_signs_nothing(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    witness = watch(hot, tmp_path / "not mounted")
    await witness.look()
    assert "mount" in (witness.trouble() or "")
    with pytest.raises(Unavailable):
        witness.allow(1)


async def test_what_is_published_is_kept_outside_first(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    witness, publisher = watch(hot, tmp_path), RecordingPublisher()
    publish = PublishCheckpoints(hot, publisher, witness, 0)
    await publish()
    assert read_witness(tmp_path, 0) is None
    for size in (5, 300):
        await journal.grow(size)
        await publish()
        await publish()
        assert read_witness(tmp_path, 0) == journal.note
    assert len(publisher.sent) == 2
    with pytest.raises(Unavailable):
        witness.allow(300)
    witness.allow(301)
    assert [path.name for path in tmp_path.iterdir()] == ["shard-0.checkpoint"]


async def test_what_was_seen_is_kept_while_the_broker_is_away(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    class Away(RecordingPublisher):
        async def send(self, batch: object) -> "asyncio.Future[None]":
            raise Unavailable("broker_unavailable", "The broker is away.")

    await journal.grow(5)
    with pytest.raises(Unavailable):
        await PublishCheckpoints(hot, Away(), watch(hot, tmp_path), 0)()
    assert read_witness(tmp_path, 0) == journal.note


async def test_a_cut_ledger_is_not_ready_and_never_lowers_what_was_seen(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    await journal.grow(3)
    await journal.grow(9)
    seen = journal.note
    write_witness(tmp_path, 0, seen)
    await journal.cut(3)
    witness = watch(hot, tmp_path)
    await witness.look()
    assert (witness.trouble() or "").startswith("tail_cut: the journal has 3 records, and 9 were signed")
    with pytest.raises(Unavailable, match="witness_differs"):
        witness.allow(10)
    await witness.keep(journal.newest)
    await journal.grow(20, story="another")
    await witness.keep(journal.newest)
    assert read_witness(tmp_path, 0) == seen


async def test_a_database_replaced_under_a_running_ledger_is_found_before_the_next_checkpoint(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    await journal.grow(3)
    await journal.grow(9)
    witness = watch(hot, tmp_path)
    await witness.look()
    await witness.keep(journal.newest)
    seen = journal.note
    await journal.cut(3)
    await journal.grow(20, story="another")
    await witness.keep(journal.newest)
    assert (witness.trouble() or "").startswith("record_altered")
    assert read_witness(tmp_path, 0) == seen


async def test_a_folder_that_cannot_be_written_is_told_and_posting_goes_on(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    await journal.grow(3)
    (tmp_path / ".shard-0.checkpoint.unfinished").mkdir()
    witness = watch(hot, tmp_path)
    await witness.look()
    await witness.keep(journal.newest)
    assert "cannot be written" in (witness.trouble() or "")
    witness.allow(4)
    (tmp_path / ".shard-0.checkpoint.unfinished").rmdir()
    await witness.look()
    await witness.keep(journal.newest)
    assert witness.trouble() is None
    assert read_witness(tmp_path, 0) == journal.note


async def test_after_a_new_origin_the_lost_floor_binds_no_more(
    journal: StoredJournal, hot: HotConnection, tmp_path: Path
) -> None:
    await journal.grow(3)
    await journal.grow(9)
    lost = journal.note
    write_witness(tmp_path, 0, lost)
    await journal.cut(3)
    trouble = await compare(journal, tmp_path)
    assert trouble is not None
    assert trouble.floor is not None
    await start_origin(journal.connection, departure(trouble.floor), KEY)
    assert await compare(journal, tmp_path) is None

    old_name = watch(hot, tmp_path)
    await old_name.look()
    assert NEXT in (old_name.trouble() or ""), "signing under the name that was left would be a fork"

    witness = watch(hot, tmp_path, origin=NEXT)
    await witness.look()
    assert witness.trouble() is None
    witness.allow(4)
    await witness.keep(journal.newest)
    assert read_witness(tmp_path, 0) == lost, "nothing is signed under the new name yet"

    journal.origin = NEXT
    await journal.grow(5, story="another")
    await witness.keep(journal.newest)
    assert read_witness(tmp_path, 0) == journal.note
    assert await compare(journal, tmp_path) is None
    await journal.cut(3)
    assert await kind_of(journal, tmp_path) == "tail_cut"


async def test_a_row_added_without_the_key_lifts_no_floor(journal: StoredJournal, tmp_path: Path) -> None:
    await journal.grow(3)
    await journal.grow(9)
    write_witness(tmp_path, 0, journal.note)
    floor = Checkpoint.parse(journal.note.rpartition("\n\n")[0] + "\n")
    await journal.cut(3)
    await start_origin(journal.connection, departure(floor), Ed25519PrivateKey.generate())
    assert await kind_of(journal, tmp_path) == "tail_cut"
    other_shard = replace(departure(floor), shard=1)
    note = sign_note(other_shard.text(), ORIGIN, KEY)
    await journal.connection.execute(
        "INSERT INTO ledger.origins (shard, origin, started_at, note) VALUES (0, 'x', now(), $1), (0, 'y', now(), $2)",
        note,
        sign_note(f"{ORIGIN}\nnew-origin\n{{}}\n", ORIGIN, KEY),
    )
    assert await kind_of(journal, tmp_path) == "tail_cut", "its statement is about another shard"


async def test_a_departure_from_less_than_was_seen_lifts_no_floor(journal: StoredJournal, tmp_path: Path) -> None:
    await journal.grow(3)
    await journal.grow(8)
    smaller = Checkpoint.parse(journal.note.rpartition("\n\n")[0] + "\n")
    await journal.grow(9)
    write_witness(tmp_path, 0, journal.note)
    await journal.cut(3)
    await start_origin(journal.connection, departure(smaller), KEY)
    assert await kind_of(journal, tmp_path) == "tail_cut"


async def test_what_was_said_about_origins_stays(journal: StoredJournal, ledger_dsn: str) -> None:
    floor = Checkpoint(ORIGIN, 9, bytes(32))
    await start_origin(journal.connection, departure(floor), KEY)
    with pytest.raises(asyncpg.UniqueViolationError):
        await start_origin(journal.connection, departure(floor), KEY)
    for statement in (
        "UPDATE ledger.origins SET note = ''",
        "DELETE FROM ledger.origins",
        "TRUNCATE ledger.origins",
    ):
        with pytest.raises(asyncpg.CheckViolationError, match="INSERT only"):
            await journal.connection.execute(statement)
    service = await asyncpg.connect(ledger_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute("INSERT INTO ledger.origins VALUES (0, 'x', now(), '')")
    await service.close()
