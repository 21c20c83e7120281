"""A broker for a test session: one named by the environment, one from the wheel, Apache Kafka, or one in Docker.

`TALLYSTICK_TEST_KAFKA=<host:port>` names a Kafka, `TALLYSTICK_TEST_KAFKA=apache` starts Apache Kafka from its jars,
`TALLYSTICK_TEST_INFRA=docker` asks for Docker.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tallystick.stack.broker import LocalBroker
from tests.support.kafka import ApacheKafka


@dataclass(frozen=True)
class BrokerAddress:
    """Where a broker answers, and whether clients may ask it for idempotent producing."""

    address: str
    """`host:port`"""
    idempotence: bool


@contextmanager
def broker_server(folder: Path) -> Iterator[BrokerAddress]:
    """Give the address of a broker; what was started for it is stopped at the end."""
    named = os.environ.get("TALLYSTICK_TEST_KAFKA")
    if named and named != "apache":
        yield BrokerAddress(named, idempotence=True)
    elif named is None and os.environ.get("TALLYSTICK_TEST_INFRA") == "docker":
        with _in_docker() as address:
            yield BrokerAddress(address, idempotence=True)
    else:
        broker = ApacheKafka(folder) if named else LocalBroker(folder / "broker.log")
        broker.start()
        try:
            yield BrokerAddress(broker.address, idempotence=isinstance(broker, ApacheKafka))
        finally:
            broker.stop()


@contextmanager
def _in_docker() -> Iterator[str]:
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 -- needed, and slow to import, only here

    with KafkaContainer("apache/kafka:4.3.1").with_kraft() as container:
        yield container.get_bootstrap_server()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerAddress]:
    """Give the address of the session's broker."""
    with broker_server(tmp_path_factory.mktemp("broker")) as address:
        yield address
