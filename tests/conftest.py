"""Lanes by folder: a test belongs to the lane it lies in, and the unit lane has no network."""

import gc
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from hypothesis import HealthCheck, settings

# The servers every lane but unit may ask for by fixture; nothing starts until one does.
pytest_plugins = ("tests.support.postgres", "tests.support.broker", "tests.support.saying", "tests.support.sharing")

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("tallystick", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tallystick")

# Where no service has set up logging, structlog would draw each traceback with the sources around it: three seconds.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

TESTS = Path(__file__).parent
LANES = ("unit", "fuzz", "contract", "integration", "e2e", "simulation", "chaos", "kafka", "api")


def lane_of(path: Path) -> str | None:
    """Name the lane whose folder holds `path`, or None for what belongs to no lane."""
    try:
        lane = path.relative_to(TESTS).parts[0]
    except ValueError:
        return None
    return lane if lane in LANES else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its lane, so that `-m unit` and a folder mean the same."""
    for item in items:
        lane = lane_of(item.path)
        if lane is None:
            raise pytest.UsageError(f"{item.nodeid} lies in no lane; use one of tests/{{{','.join(LANES)}}}/")
        item.add_marker(lane)


def pytest_collection_finish() -> None:
    """Have the collector look as seldom as in a service, and not at what was imported: that lives as long as this."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def refuse(*_: object) -> NoReturn:
    """Say what the unit lane forbids instead of letting a test hang on a network it should not need."""
    raise RuntimeError("a unit test tried to reach the network; pass a fake, or move the test to another lane")


@pytest.fixture(autouse=True)
def closed_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the way out in the unit lane only. Event loops keep their socket pair, which never connects."""
    if lane_of(request.path) != "unit":
        return
    for method in ("connect", "connect_ex", "bind", "listen", "sendto"):
        monkeypatch.setattr(socket.socket, method, refuse)


@pytest.fixture(autouse=True)
def leftovers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what Kafka's client leaves open when it is stopped while it connects, and what a simulation has killed.

    Else some later test is told of it, whichever runs when it is collected.
    """
    yield
    if "broker" in request.fixturenames or lane_of(request.path) == "simulation":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
