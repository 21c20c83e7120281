"""A stack for each file of chaos, kept with its logs when one of the file's tests failed, and people who pay in it."""

import random
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.balanced_api import BalancedApi
from tests.support.chaos_stack import ChaosStack, Circle, chaos_stack, found_circle, fund
from tests.support.load import Load
from tests.support.saying import Say

REQUESTS_PER_SECOND = 30.0


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def circle(request: pytest.FixtureRequest, stack: ChaosStack) -> AsyncIterator[tuple[Circle, Load]]:
    """Give two businesses with twenty accounts, and a load between them that has not begun."""
    api = BalancedApi(stack.running.api)
    found = await found_circle(api, stack.admin, customers=2, accounts=20)
    drawn = random.Random(request.module.__name__)
    load = Load(api, found.customers, operator=found.admin, rng=drawn, rate=REQUESTS_PER_SECOND)
    await fund(found, load)
    yield found, load
    await api.close()
