"""A stack for each file of chaos, kept with its logs when one of the file's tests failed."""

from collections.abc import Iterator

import pytest

from tests.support.chaos_stack import ChaosStack, chaos_stack
from tests.support.saying import Say


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
