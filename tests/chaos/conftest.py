"""A stack for each file of chaos, kept with its logs when one of the file's tests failed."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.chaos_stack import ChaosStack, chaos_stack

Say = Callable[[str], None]


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Write a line to the terminal at once, also when the test passes: seeds and recovery times are results."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", end="", flush=True)  # noqa: T201 -- past the capture, to the person who waits

    return write


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, say: Say) -> Iterator[ChaosStack]:
    """Run the stack of this file's tests."""
    failed_before = request.session.testsfailed

    def keep() -> bool:
        return request.session.testsfailed > failed_before

    with chaos_stack(keep=keep) as running:
        yield running
        if keep():
            say(f"data and logs of the stack are kept in {running.folder}")
