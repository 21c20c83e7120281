"""One stack for the whole lane, with rate limits off, and the people who use it; and one whose rows are altered."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.api_client import Api, Person
from tests.e2e.damaged import Damaged, let_settle
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.stack import RunningStack

_STACKS: Final = pytest.StashKey[ExitStack]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Stop the lane's stacks with its last test: a process has other lanes to do, and a stack is never quite idle."""
    yield
    if nextitem is None or nextitem.path.parent != item.path.parent:
        item.session.stash.setdefault(_STACKS, ExitStack()).close()


@pytest.fixture(scope="session")
def stacks(request: pytest.FixtureRequest) -> Iterator[ExitStack]:
    """Give what ends with the lane."""
    with request.session.stash.setdefault(_STACKS, ExitStack()) as stacks:
        yield stacks


@pytest.fixture(scope="session")
def otlp() -> Iterator[OtlpReceiver]:
    """Give what the stack sends its spans to."""
    with otlp_receiver() as receiver:
        yield receiver


@contextmanager
def own_stack(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Api]:
    """Run a stack with rate limits off, for as long as the block."""
    with RunningStack(folder, "--no-rate-limits", environment=environment) as stack:
        api = Api(stack.stack, stack.folder)
        yield api
        api.http.close()


@pytest.fixture(scope="session")
def damaged(tmp_path_factory: pytest.TempPathFactory, stacks: ExitStack) -> Damaged:
    """Give a stack whose rows may be altered; who does so leaves them as they were."""
    return let_settle(stacks.enter_context(own_stack(tmp_path_factory.mktemp("damaged") / "data")))


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, otlp: OtlpReceiver, stacks: ExitStack) -> Api:
    endpoints = {f"{service}_OTLP_ENDPOINT": otlp.endpoint for service in ("GATEWAY", "FRAUD", "LEDGER")}
    return stacks.enter_context(own_stack(tmp_path_factory.mktemp("e2e") / "data", endpoints))


@pytest.fixture(scope="module")
def alice(api: Api) -> Person:
    """Has money; each module gets its own, because a customer may send fifty transfers an hour."""
    return api.business("alice", funds_minor=1_000_000)


@pytest.fixture(scope="module")
def bob(api: Api) -> Person:
    """Is paid; each module gets its own, because nobody stays logged in for the whole lane."""
    return api.person("bob")


@pytest.fixture(scope="module")
def stranger(api: Api) -> Person:
    """Has nothing to do with the others, and one dollar; likewise."""
    return api.person("stranger", funds_minor=100)
