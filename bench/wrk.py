"""Runs wrk, a compiled load generator: a loop of our own would measure itself."""

import json
import os
import re
import resource
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOAD: Final = Path(__file__).with_name("load.lua")
INSTALL: Final = "wrk is not installed; on Debian: apt-get install wrk, on macOS: brew install wrk"


class NoGenerator(RuntimeError):
    """There is no load generator; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: so many connections, transfers a request (0: single ones), all to one account or spread.

    Each connection rests for `pause_ms` between two requests, on the average.
    """

    connections: int
    bulk: int = 0
    hot: str = ""
    echo: bool = False
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What wrk saw; latencies in milliseconds, a closed loop's (no correction for coordinated omission)."""

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    not_2xx: int
    socket_errors: int
    timeouts: int
    generator_cpu_seconds: float


def require_generator() -> None:
    """Raises: NoGenerator."""
    if shutil.which("wrk") is None:
        raise NoGenerator(INSTALL)


def run_load(load: Load, url: str, world: Path, seconds: int) -> Measured:
    """Drive the address for so long. Raises: NoGenerator, subprocess.CalledProcessError."""
    require_generator()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {
        "WORLD": str(world),
        "BULK": str(load.bulk),
        "NONCE": secrets.token_hex(6),
        "SEED": str(secrets.randbelow(2**31)),
    }
    if load.pause_ms:
        environment["PAUSE_MS"] = str(load.pause_ms)
    if load.hot:
        environment["HOT"] = load.hot
    if load.echo:
        environment["ECHO"] = "1"
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(LOAD), url]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
    if found is None:
        message = f"wrk printed no result:\n{output}"
        raise RuntimeError(message)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(**json.loads(found[1]), generator_cpu_seconds=cpu)
