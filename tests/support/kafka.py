"""Apache Kafka itself, one KRaft node from the jars that `tools/kafka/build.sh` collects."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path

from tallystick.stack.errors import StartFailed
from tallystick.stack.local_process import LocalProcess
from tallystick.stack.ports import LOOPBACK, accepts_connections, free_ports

TOOLS = Path(__file__).parents[2] / "tools" / "kafka"
BUILT = TOOLS / "target"

# Start time decides here, not throughput: a small heap, the simplest collector, the quick compiler, classes preloaded.
JAVA = (
    "java",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    f"-XX:SharedArchiveFile={BUILT}/kafka.jsa",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class ApacheKafka(LocalProcess):
    """One broker on a fixed port, which keeps its messages when it is killed and started again.

    Starting takes about 0.7 s, about 3 s after a kill: the old broker's session has to end first.
    """

    def __init__(self, folder: Path) -> None:
        """Put a formatted data folder into `folder`. Raises: StartFailed when there is no JDK or Maven."""
        build()
        super().__init__("kafka", folder / "kafka.log")
        self.port, controller_port = free_ports(2)
        self.address = f"{LOOPBACK}:{self.port}"
        self._properties = folder / "server.properties"
        shutil.copytree(BUILT / "template", folder / "data")
        text = (TOOLS / "server.properties").read_text()
        filled = {"@PORT@": self.port, "@CONTROLLER_PORT@": controller_port, "@DATA@": folder / "data"}
        for mark, value in filled.items():
            text = text.replace(mark, str(value))
        self._properties.write_text(text)

    def command(self) -> Sequence[str]:
        return [*JAVA, "-cp", (BUILT / "classpath").read_text(), "kafka.Kafka", str(self._properties)]

    def environment(self) -> Mapping[str, str]:
        return environ

    def is_ready(self) -> bool:
        """Whether the port is open; Kafka opens it when the broker may serve."""
        return self.is_alive() and accepts_connections(self.port)


def build() -> None:
    """Make sure the jars are there; nearly free when they are. Raises: StartFailed with what is missing."""
    result = subprocess.run([str(TOOLS / "build.sh")], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise StartFailed(f"Apache Kafka cannot be built:\n{result.stdout}{result.stderr}")
