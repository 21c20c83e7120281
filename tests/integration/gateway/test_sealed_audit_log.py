"""The audit log is chained and signed, and whoever changes a byte of it, anywhere, is found and told which."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.asker import Asker
from libs.common.audit.audit_log import AuditLog
from libs.common.audit.entry import COLUMNS, from_row, new_entry
from libs.common.clock import system_clock
from libs.common.contracts.audit import AuditEntry
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.http.auth import Principal
from libs.common.http.hot import HotRequest
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.proof.frontier import EMPTY_FRONTIER, Frontier
from libs.common.proof.merkle import leaf_hash, root_of
from libs.common.proof.signed_note import parse_vkeys, vkey
from services.gateway.audit.findings import AuditFinding, AuditVerification
from services.gateway.audit.verify_audit_log import verify_audit_log
from services.gateway.store.audit_entries import save_entries
from services.gateway.store.money_callers import CallerOf, find_callers
from services.gateway.store.seal_witness import SealWitness
from services.gateway.use_cases.record_callers import MoneyCallers, RecordCallers
from services.gateway.use_cases.seal_audit_log import SealAuditLog
from tallystick.stack.service_settings import dsn_of_role
from tests.support.api_world import ROLE_PASSWORD, RecordingPublisher, admin_connection, migrated_database

ORIGIN = "example/audit"
LATER = timedelta(hours=1)


class Log:
    """A gateway's database with a sealer, and an administrator who stops at nothing."""

    def __init__(self, admin_dsn: str, folder: Path) -> None:
        self.admin_dsn = admin_dsn
        self.dsn = dsn_of_role(admin_dsn, "tallystick_gateway", ROLE_PASSWORD)
        self.hot = HotConnection(self.dsn, "test-seal")
        self.witness_file = folder / "audit.checkpoint"
        self.key = Ed25519PrivateKey.generate()
        self.source = AuditLog(
            "gateway", self.dsn, Outbox("gateway", RecordingPublisher(), HotConnection(self.dsn, "test-outbox"))
        )

    def sealer(self) -> SealAuditLog:
        return SealAuditLog(self.hot, ORIGIN, self.key, SealWitness(self.witness_file), system_clock)

    async def write(self, count: int) -> list[AuditEntry]:
        """Write entries into the gateway's own log and collect them."""
        entries = [
            new_entry(
                "gateway",
                Asker(actor_id="a", actor_kind="person", address="192.0.2.1", user_agent="u", request_id="r"),
                "hold.end",
                at=datetime.now(UTC),
                resource=("transfer", f"t{number}"),
                outcome="refused",
                reason="x",
                facts={"n": number},
            )
            for number in range(count)
        ]
        await self.source.append(entries)
        async with self.hot.autocommit() as connection:
            await save_entries(connection, entries)
        return entries

    async def verify(self, *, key: Ed25519PrivateKey | None = None) -> AuditVerification:
        trusted = parse_vkeys(vkey(ORIGIN, (key or self.key).public_key()))
        async with admin_connection(self.admin_dsn) as connection:
            note = self.witness_file.read_text() if self.witness_file.exists() else ""
            return await verify_audit_log(connection, trusted, now=datetime.now(UTC) + LATER, witness=note)

    async def ruin(self, *statements: str) -> None:
        """Change what may not be changed, as whoever owns the server can."""
        async with admin_connection(self.admin_dsn) as connection:
            await connection.execute("SET session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture(scope="module")
def ruined_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "gateway") as dsn:
        yield dsn


@pytest.fixture
async def audit(ruined_dsn: str, tmp_path: Path) -> AsyncIterator[Log]:
    log = Log(ruined_dsn, tmp_path)
    await log.ruin(
        "TRUNCATE gateway.audit_log, gateway.audit_entries, gateway.audit_leaves, gateway.audit_seals",
        "TRUNCATE gateway.audit_unsealed, gateway.money_callers",
        "UPDATE gateway.audit_sealer SET expires_at = '-infinity'",
    )
    yield log
    await log.source.close()
    await log.hot.close()


@asynccontextmanager
async def sealed(log: Log) -> AsyncIterator[list[AuditEntry]]:
    """Give six entries under two seals."""
    entries = await log.write(3)
    await log.sealer()()
    entries += await log.write(3)
    sealer = log.sealer()
    await log.ruin("UPDATE gateway.audit_sealer SET expires_at = '-infinity'")
    await sealer()
    assert (await log.verify()).is_good
    yield entries


def only(found: AuditVerification) -> AuditFinding:
    assert len(found.findings) == 1, found.findings
    return found.findings[0]


def test_the_frontier_is_the_tree_of_rfc_6962_however_it_grew() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(40)]
    for cut in range(len(leaves)):
        grown = EMPTY_FRONTIER.extended(leaves[:cut]).extended(leaves[cut:])
        assert grown.root == root_of(leaves)
        assert Frontier.restored(grown.size, grown.stored) == grown


async def test_what_is_collected_is_sealed_once_and_verifies(audit: Log) -> None:
    assert (await audit.verify()).is_good
    async with sealed(audit):
        found = await audit.verify()
    assert (found.size, found.seals, found.waiting) == (6, 2, 0)
    await audit.write(1)
    assert (await audit.verify()).waiting == 1


async def test_only_one_of_two_sealers_works_and_neither_waits(audit: Log) -> None:
    await audit.write(5)
    one, other = audit.sealer(), audit.sealer()
    await asyncio.gather(one(), other())
    await other()
    assert ((await audit.verify()).size, (await audit.verify()).seals) == (5, 1)


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "entry_id"] + ["service"])
async def test_a_change_in_any_column_of_an_entry_is_found_and_named(audit: Log, column: str) -> None:
    async with sealed(audit) as entries:
        value = "at + interval '1 microsecond'" if column == "at" else f"{column} || 'x'"
        victim = entries[4].entry_id
        await audit.ruin(f"UPDATE gateway.audit_entries SET {column} = {value} WHERE entry_id = '{victim}'")
        found = await audit.verify()
    finding = found.findings[0]
    assert (finding.kind, finding.table, finding.row, finding.fields) == (
        "entry_altered",
        "audit_entries",
        victim,
        (column,),
    )


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in {"entry_id", "actor_kind", "outcome"}])
async def test_a_change_in_any_column_of_a_service_s_own_log_is_found_and_named(audit: Log, column: str) -> None:
    async with sealed(audit) as entries:
        value = "at + interval '1 microsecond'" if column == "at" else f"{column} || 'x'"
        victim = entries[2].entry_id
        await audit.ruin(f"UPDATE gateway.audit_log SET {column} = {value} WHERE entry_id = '{victim}'")
        finding = only(await audit.verify())
    assert (finding.kind, finding.row, finding.fields) == ("source_altered", victim, (column,))


@pytest.mark.parametrize(
    ("statement", "kinds"),
    [
        ("DELETE FROM gateway.audit_entries WHERE entry_id = '{2}'", {"entry_missing", "entry_not_collected"}),
        ("DELETE FROM gateway.audit_log WHERE entry_id = '{2}'", {"source_missing"}),
        ("DELETE FROM gateway.audit_leaves WHERE leaf_index = 2", {"leaf_missing", "tail_cut"}),
        ("DELETE FROM gateway.audit_seals WHERE size = 6", {"tail_cut"}),
        (
            "UPDATE gateway.audit_leaves SET leaf_hash = sha256('x') WHERE leaf_index = 1",
            {"leaf_altered", "seal_broken"},
        ),
        ("UPDATE gateway.audit_leaves SET leaf_index = 9 WHERE leaf_index = 5", {"leaf_missing"}),
        ("UPDATE gateway.audit_seals SET peaks = sha256('x') || sha256('y') WHERE size = 3", {"seal_broken"}),
        ("UPDATE gateway.audit_seals SET size = 5 WHERE size = 3", {"seal_broken"}),
        (
            "UPDATE gateway.audit_seals SET note = replace(note, '3' || chr(10), '4' || chr(10)) WHERE size = 3",
            {"seal_forged"},
        ),
        (
            "DELETE FROM gateway.audit_unsealed; DELETE FROM gateway.audit_leaves WHERE leaf_index = 0",
            {"leaf_missing", "tail_cut"},
        ),
    ],
)
async def test_a_row_that_is_taken_away_or_changed_is_found(audit: Log, statement: str, kinds: set[str]) -> None:
    async with sealed(audit) as entries:
        await audit.ruin(statement.format(*(entry.entry_id for entry in entries)))
        found = await audit.verify()
    assert {finding.kind for finding in found.findings} == kinds, found.findings


async def test_two_leaves_that_change_places_are_found(audit: Log) -> None:
    async with sealed(audit):
        await audit.ruin(
            "UPDATE gateway.audit_leaves SET leaf_index = 1000 WHERE leaf_index = 1",
            "UPDATE gateway.audit_leaves SET leaf_index = 1 WHERE leaf_index = 2",
            "UPDATE gateway.audit_leaves SET leaf_index = 2 WHERE leaf_index = 1000",
        )
        found = await audit.verify()
    assert [(finding.kind, finding.row) for finding in found.findings] == [("seal_broken", "3"), ("seal_broken", "6")]


async def test_two_entries_that_change_their_contents_are_found(audit: Log) -> None:
    async with sealed(audit) as entries:
        one, other = entries[0].entry_id, entries[1].entry_id
        for table in ("audit_entries", "audit_log"):
            await audit.ruin(
                f"UPDATE gateway.{table} SET resource_id = CASE entry_id WHEN '{one}' THEN 't1' ELSE 't0' END"
                f" WHERE entry_id IN ('{one}', '{other}')"
            )
        found = await audit.verify()
    assert {(finding.kind, finding.row) for finding in found.findings} == {
        ("leaf_altered", "0"),
        ("leaf_altered", "1"),
    }


async def test_an_end_that_is_cut_off_everywhere_is_known_from_outside(audit: Log) -> None:
    async with sealed(audit) as entries:
        ids = ", ".join(f"'{entry.entry_id}'" for entry in entries[3:])
        await audit.ruin(
            "DELETE FROM gateway.audit_seals WHERE size = 6",
            "DELETE FROM gateway.audit_leaves WHERE leaf_index >= 3",
            f"DELETE FROM gateway.audit_entries WHERE entry_id IN ({ids})",
            f"DELETE FROM gateway.audit_log WHERE entry_id IN ({ids})",
        )
        finding = only(await audit.verify())
        assert (finding.kind, "6 leaves" in finding.detail) == ("tail_cut", True)
        # Nor is anything signed again at sizes that were signed before.
        await audit.write(1)
        await audit.ruin("UPDATE gateway.audit_sealer SET expires_at = '-infinity'")
        await audit.sealer()()
        assert (await audit.verify()).size == 3


async def test_what_another_key_signed_proves_nothing(audit: Log) -> None:
    async with sealed(audit):
        found = await audit.verify(key=Ed25519PrivateKey.generate())
    assert {finding.kind for finding in found.findings} == {"seal_forged"}


async def test_who_is_overrun_by_another_sealer_writes_nothing(audit: Log) -> None:
    await audit.write(2)
    sealer = audit.sealer()
    await audit.ruin(
        "INSERT INTO gateway.audit_leaves VALUES (0, '00000000-0000-0000-0000-000000000001', sha256('another'))"
    )
    with pytest.raises(Unavailable, match="audit_sealed_elsewhere"):
        await sealer()


async def test_from_where_money_was_asked_for_is_proven_in_lumps(audit: Log) -> None:
    callers = MoneyCallers()
    recording = RecordCallers(callers, audit.source, system_clock)
    ids = [new_id() for _ in range(4)]
    for number, transfer_id in enumerate(ids):
        address = "192.0.2.1" if number < 3 else "2001:db8::1"
        request = HotRequest(None, None, None, address, f"r{number}", user_agent=b"curl\t8")
        key_id = "a key" if number == 2 else ""
        request.principal = Principal("somebody", frozenset(), "", float("inf"), key_id=key_id)
        callers.note(transfer_id, request)
    await recording.write()
    await recording.write()
    async with audit.hot.autocommit() as connection:
        found = await find_callers(connection, [*ids, new_id()])
        assert await connection.fetchval("SELECT count(*) FROM gateway.money_callers") == 1
        entries = [
            from_row("gateway", one)
            for one in await connection.fetch(f"SELECT {', '.join(COLUMNS)} FROM gateway.audit_log")
        ]
        await save_entries(connection, entries)
    assert found[ids[0]] == CallerOf("r0", "192.0.2.1", "curl8", "")
    assert found[ids[2]] == CallerOf("r2", "192.0.2.1", "curl8", "a key")
    assert found[ids[3]] == CallerOf("r3", "2001:db8::1", "curl8", "")
    assert set(found) == set(ids)
    await audit.sealer()()
    assert (await audit.verify()).is_good
    for change in (
        "said = convert_to(replace(convert_from(said, 'UTF8'), '192.0.2.1', '192.0.2.2'), 'UTF8')",
        "first_id = '00000000-0000-0000-0000-000000000000'",
        f"last_id = '{new_id()}'",
        f"lump_id = '{new_id()}'",
    ):
        await audit.ruin(
            "DROP TABLE IF EXISTS kept",
            "CREATE TABLE kept AS SELECT * FROM gateway.money_callers",
            f"UPDATE gateway.money_callers SET {change}",
        )
        kinds = {finding.kind for finding in (await audit.verify()).findings}
        await audit.ruin("TRUNCATE gateway.money_callers", "INSERT INTO gateway.money_callers SELECT * FROM kept")
        assert kinds == {"callers_altered"}, change
    await audit.ruin("DELETE FROM gateway.money_callers")
    assert only(await audit.verify()).kind == "callers_altered"
