"""PostgreSQL from the wheel: made on first use, killed, started again, stopped."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from tallystick.stack.errors import StartFailed
from tallystick.stack.postgres import LocalPostgres, _as_ordinary_user
from tests.support.stack import alive_among


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


def setting(server: LocalPostgres, name: str) -> str:
    async def ask() -> str:
        connection = await asyncpg.connect(server.dsn)
        try:
            return str(await connection.fetchval(f"SHOW {name}"))
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_commits_reach_the_disk_and_passwords_are_asked_for(postgres: LocalPostgres) -> None:
    assert setting(postgres, "fsync") == "on"
    assert setting(postgres, "synchronous_commit") == "on"
    without_password = postgres.dsn.replace(postgres._password(), "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(without_password))


def test_it_listens_on_the_loopback_interface_alone(postgres: LocalPostgres) -> None:
    assert setting(postgres, "listen_addresses") == "127.0.0.1"


def test_it_serves_under_a_folder_that_only_its_owner_may_enter(postgres: LocalPostgres) -> None:
    assert (postgres.folder.stat().st_mode & 0o777) == 0o700
    assert psutil.Process(postgres.pids()[0]).uids().effective != 0


def test_a_kill_leaves_no_backend_and_the_next_start_keeps_port_and_data(postgres: LocalPostgres) -> None:
    before, dsn = postgres.pids(), postgres.dsn
    postgres.kill()
    gone_by = time.monotonic() + 30  # the kernel ends them one after the other
    while time.monotonic() < gone_by and alive_among(before):
        time.sleep(0.01)
    assert alive_among(before) == []
    postgres.start()
    assert postgres.dsn == dsn
    assert setting(postgres, "server_version").startswith("18")


def test_a_pid_file_that_names_an_innocent_process_does_not_prevent_the_start(postgres: LocalPostgres) -> None:
    pid_file = postgres.cluster / "postmaster.pid"
    words = pid_file.read_text()
    postgres.kill()
    # As the same user: PostgreSQL knows that what it may not signal is no postmaster of its own.
    with subprocess.Popen([*_as_ordinary_user(death_signal="KILL"), "sleep", "60"]) as innocent:
        try:
            pid_file.write_text(words.replace(words.split("\n", maxsplit=1)[0], str(innocent.pid), 1))
            postgres.start()
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_an_orphan_that_still_serves_the_folder_is_ended_first(postgres: LocalPostgres) -> None:
    successor = LocalPostgres(postgres.folder)
    successor.start()
    try:
        assert not postgres.is_alive()
        assert setting(successor, "port") == str(successor.port)
    finally:
        successor.stop()


def test_a_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / ("deep" * 25))
    server.start()
    try:
        assert setting(server, "port") == str(server.port)
        assert (server._socket_folder.stat().st_mode & 0o777) == 0o700
    finally:
        server.stop()
    assert not server._socket_folder.exists()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / "postgres")
    (server.folder / "cluster.unfinished" / "base").mkdir(parents=True)
    server.start()
    try:
        assert setting(server, "data_checksums") == "on"
    finally:
        server.stop()


def test_the_oldest_supported_version_serves_too(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / "postgres", version=16)
    server.start()
    try:
        assert setting(server, "server_version").startswith("16")
    finally:
        server.stop()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(postgres: LocalPostgres) -> None:
    postgres.stop()
    (postgres.cluster / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(StartFailed, match="not compatible"):
        postgres.start()
