"""The services of a stack that publish digests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2

from libs.common.digests.distant_digests import Neighbour
from tallystick.stack.stack_file import Stack


@asynccontextmanager
async def neighbours_of(stack: Stack | None) -> AsyncIterator[Mapping[str, Neighbour]]:
    """Lend the neighbours that can be asked; none without a stack or its internal token.

    A stack named by the environment has one address, the gateway's.
    """
    addresses = {} if stack is None or not stack.internal_token else {"gateway": stack.api}
    if stack is not None and addresses:
        addresses |= {name: stack.services[name].url for name in ("accounts", "fraud", "kyc") if name in stack.services}
    async with AsyncExitStack() as closing:
        yield {
            name: Neighbour(name, await closing.enter_async_context(httpx2.AsyncClient(base_url=url)), _token(stack))
            for name, url in addresses.items()
        }


def _token(stack: Stack | None) -> str:
    return "" if stack is None else stack.internal_token
