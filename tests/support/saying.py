"""Results that a test says in words, also when it passes: seeds, recovery times, how much was tried.

They are written at once, past the capture. A process that shares the lanes with others has no terminal: what is said
there stands in the summary at the end.
"""

from collections.abc import Callable
from typing import Any

import pytest

Say = Callable[[str], None]

_SAID = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Write a line for whoever runs the tests."""
    output: dict[str, Any] | None = getattr(pytestconfig, "workeroutput", None)
    if output is not None:
        said: list[str] = output.setdefault("said", [])
        return said.append
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", end="", flush=True)  # noqa: T201 -- past the capture, to the person who waits

    return write


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what was said in another process; one that died says nothing."""
    output: dict[str, Any] = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(_SAID, []).extend(output.get("said", ()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write what the other processes said."""
    for line in config.stash.get(_SAID, ()):
        terminalreporter.write_line(line)
