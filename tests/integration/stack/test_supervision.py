"""The supervisor over real processes: stand-ins for the services, PostgreSQL and the broker from the wheels."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx2
import psutil
import pytest

from tests.support.broker import BrokerAddress
from tests.support.stack import ROOT, RunningStack, alive_among

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in_stack.py")))
FOR_STAND_IN = {**os.environ, "PYTHONPATH": str(ROOT)}
SERVICES = {"accounts", "kyc", "ledger", "fraud", "gateway"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with RunningStack(tmp_path_factory.mktemp("shared") / "data", command=STAND_IN) as stack:
        yield stack


def stand_in(tmp_path: Path) -> RunningStack:
    return RunningStack(tmp_path / "data", command=STAND_IN)


def query(dsn: str, statement: str) -> int | None:
    async def ask() -> int | None:
        connection = await asyncpg.connect(dsn)
        try:
            number: int | None = await connection.fetchval(statement)
            return number
        finally:
            await connection.close()

    return asyncio.run(ask())


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready", timeout=10.0).status_code == 200
    except httpx2.TransportError:
        return False


def broker_pids(stack: RunningStack) -> list[int]:
    pids: list[int] = stack.stack["infrastructure"]["kafka"]["pids"]
    return pids


def accepts_queries(dsn: str) -> bool:
    try:
        return query(dsn, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


def test_ready_means_that_every_service_answers(shared: RunningStack) -> None:
    assert shared.ready["ready"] is True
    assert set(shared.stack["services"]) == SERVICES
    assert all(answers(service["url"]) for service in shared.stack["services"].values())


def test_the_ready_line_tells_no_secret(shared: RunningStack) -> None:
    secrets = json.loads((shared.folder / "secrets.json").read_text())
    said = json.dumps(shared.ready)
    assert secrets["admin_password"] == shared.stack["admin"]["password"]
    assert secrets["admin_password"] not in said
    assert secrets["internal_token"] not in said
    assert (shared.folder / "postgres" / "superuser-password").read_text() not in said


def test_files_with_secrets_are_their_owners_alone(shared: RunningStack) -> None:
    private = [
        "stack.json",
        "secrets.json",
        "keys/access-token.pem",
        "keys/ledger-signing.pem",
        "keys/audit-signing.pem",
    ]
    private.append("postgres/superuser-password")
    assert {name: oct((shared.folder / name).stat().st_mode & 0o777) for name in private} == dict.fromkeys(
        private, "0o600"
    )


@pytest.mark.parametrize("name", ["gateway", "ledger"])
def test_a_killed_service_is_started_again_on_its_port(shared: RunningStack, name: str) -> None:
    before = shared.stack["services"][name]
    shared.kill_service(name)
    shared.wait_for(f"{name} in another process", lambda: shared.stack["services"][name]["pids"] != before["pids"])
    shared.wait_for(f"{name} to answer", lambda: answers(before["url"]))
    assert shared.stack["services"][name]["url"] == before["url"]


def test_a_killed_broker_is_started_again_on_its_port(shared: RunningStack) -> None:
    before = shared.stack
    shared.kill_broker()
    shared.wait_for("another broker", lambda: broker_pids(shared) != before["infrastructure"]["kafka"]["pids"])
    assert shared.stack["kafka"] == before["kafka"]


def test_a_killed_database_recovers_with_what_was_committed(shared: RunningStack) -> None:
    dsn = shared.stack["postgres"]
    query(dsn, "CREATE TABLE committed AS SELECT 42 AS value")
    shared.kill_postgres()
    shared.wait_for("the database", lambda: accepts_queries(dsn))
    assert query(dsn, "SELECT value FROM committed") == 42


def test_a_killed_postmaster_alone_is_replaced(shared: RunningStack) -> None:
    dsn = shared.stack["postgres"]
    postmaster = shared.stack["infrastructure"]["postgres"]["pids"][0]
    os.kill(postmaster, signal.SIGKILL)
    shared.wait_for("another postmaster", lambda: accepts_queries(dsn) and not alive_among([postmaster]))


def test_a_second_up_on_the_folder_is_refused_and_names_the_first(shared: RunningStack) -> None:
    second = subprocess.run(
        [*STAND_IN, str(shared.folder)], env=FOR_STAND_IN, capture_output=True, timeout=30, check=False
    )
    assert second.returncode == 1
    assert f"process {shared.process.pid}".encode() in second.stderr
    assert all(answers(service["url"]) for service in shared.stack["services"].values())


def test_a_stop_ends_the_gateway_first_and_leaves_no_process(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        pids = stack.pids()
        assert len(pids) > len(SERVICES)
        assert stack.stop() == 0
        assert alive_among(pids) == []
        assert (stack.folder / "endings").read_text().split() == ["gateway", "accounts", "kyc", "fraud", "ledger"]
        assert not (stack.folder / "stack.json").exists()


def test_nothing_outlives_an_up_that_was_killed(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        pids = stack.pids()
        stack.process.kill()
        stack.wait_for("every process to end with it", lambda: not alive_among(pids))


def test_up_carries_on_with_the_same_data_after_it_was_killed(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        secrets = (stack.folder / "secrets.json").read_text()
        query(stack.stack["postgres"], "CREATE TABLE kept AS SELECT 7 AS value")
        pids = stack.pids()
        stack.process.kill()
        stack.process.wait()
        stack.start()
        assert query(stack.stack["postgres"], "SELECT value FROM kept") == 7
        assert (stack.folder / "secrets.json").read_text() == secrets
        assert alive_among(pids) == []


def test_a_service_that_cannot_start_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="kyc keeps ending while starting") as failure:
        RunningStack(tmp_path / "data", command=STAND_IN, environment={"STAND_IN_FAILS": "kyc"}).start()
    assert "no settings for kyc" in str(failure.value)


def test_servers_named_by_the_environment_replace_the_local_ones(
    tmp_path: Path, postgres_dsn: str, broker: BrokerAddress
) -> None:
    elsewhere = {"TALLYSTICK_POSTGRES": postgres_dsn, "TALLYSTICK_KAFKA": broker.address}
    with RunningStack(tmp_path / "data", command=STAND_IN, environment=elsewhere) as stack:
        found = stack.stack
        assert (found["postgres"], found["kafka"]) == (postgres_dsn, broker.address)
        assert found["infrastructure"] == {"postgres": {"pids": []}, "kafka": {"pids": []}}
        assert not (stack.folder / "postgres").exists()


def test_a_stop_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = subprocess.Popen(
        [*STAND_IN, str(folder)], env=FOR_STAND_IN, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not (folder / "up.lock").exists():
        assert process.poll() is None
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, b"")
    assert [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])] == []
