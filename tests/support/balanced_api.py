"""The gateways of a stack behind one door, as a load balancer has them: it asks those that say they are ready."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.chaos_api import Api, Person

_PROBE_SECONDS = 0.5
_PROBE_PATIENCE_SECONDS = 3.0
_SILENT_MAX = 3
"""Whoever says no is asked for nothing at once; a slow machine keeps everybody silent now and then."""


@dataclass
class Gateway:
    """One process, and what its probe said last."""

    api: Api
    is_ready: bool = False

    async def keep_probing(self) -> None:
        """Ask whether it is ready, as long as nobody cancels this."""
        silent = 0
        while True:
            try:
                async with asyncio.timeout(_PROBE_PATIENCE_SECONDS):
                    self.is_ready = (await self.api.ask("GET", "/health/ready")).status_code == httpx2.codes.OK
                    silent = 0
            except httpx2.TransportError:
                self.is_ready = False
            except TimeoutError:
                silent += 1
                self.is_ready = self.is_ready and silent < _SILENT_MAX
            await asyncio.sleep(_PROBE_SECONDS)


class BalancedApi(Api):
    """Talks to one gateway, or to two in turn while they share the work."""

    def __init__(self, url: str) -> None:
        """Begin with one."""
        super().__init__(url)
        self._url = url
        self._sharing: list[Gateway] = []
        self._turn: Iterator[Gateway] = iter(())

    @asynccontextmanager
    async def shared_with(self, url: str) -> AsyncIterator[None]:
        """Ask whoever of the two is ready, as long as the block lasts."""
        self._sharing = [Gateway(Api(each), is_ready=True) for each in (self._url, url)]
        self._turn = itertools.cycle(self._sharing)
        probes = [asyncio.create_task(gateway.keep_probing()) for gateway in self._sharing]
        try:
            yield
        finally:
            gateways, self._sharing = self._sharing, []
            for probe in probes:
                probe.cancel()
            await asyncio.gather(*probes, return_exceptions=True)
            for gateway in gateways:
                await gateway.api.close()

    async def ask(
        self, method: str, path: str, person: Person | None = None, body: Any = None, **headers: str
    ) -> httpx2.Response:
        """Send one request to the next one that is ready; where nobody is, to the first."""
        for _ in range(len(self._sharing)):
            gateway = next(self._turn)
            if gateway.is_ready:
                return await gateway.api.ask(method, path, person, body, **headers)
        return await super().ask(method, path, person, body, **headers)
