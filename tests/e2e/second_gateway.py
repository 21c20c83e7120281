"""Another api process of the gateway beside that of a running stack: same database, same broker, another port."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tallystick.stack.local_process import die_with_parent
from tallystick.stack.ports import free_port
from tests.e2e.api_client import Api, wait_until
from tests.support.another_process import settings_of_another
from tests.support.crashing import VARIABLE

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "tests" / "support" / "crashing.py"


@dataclass
class SecondGateway:
    """The process and a client that talks to it alone."""

    process: subprocess.Popen[bytes]
    http: httpx2.Client

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the second gateway ended before it was ready"
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False


@contextmanager
def second_gateway(api: Api, orders: Path, **changes: str) -> Iterator[SecondGateway]:
    """Run it with the settings of the stack's own, but for the changes; it dies where `orders` say."""
    port = free_port()
    settings = settings_of_another(api.folder, "gateway", port, kafka_idempotence=False, velocity_limits=True)
    process = subprocess.Popen(
        [sys.executable, str(LAUNCHER), "gateway", "api"],
        cwd=ROOT,
        env={**os.environ, **settings, **changes, "PYTHONPATH": str(ROOT), VARIABLE: str(orders)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 -- only prctl runs in the child
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=45) as http:
            gateway = SecondGateway(process, http)
            wait_until("the second gateway", gateway.is_ready, seconds=150)  # an interpreter that imports everything
            yield gateway
    finally:
        process.kill()
        process.wait(10)
