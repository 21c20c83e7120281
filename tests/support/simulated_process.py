"""A service of a simulation: what its process would run, within this one, and killed as a process is.

Whatever it starts is known by the context it was started in. Killed, it can reach neither the database nor the broker
nor its callers from that moment on; then its tasks are ended, so that what they would do in parting moves nothing.
"""

import asyncio
import contextvars
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch
from weakref import WeakSet

import uvicorn
from fastapi import FastAPI

from libs.common.http.hot_protocol import HotHttpProtocol

_PATIENCE_SECONDS = 60.0
_ENDS = 50

_owner: contextvars.ContextVar["SimulatedProcess | None"] = contextvars.ContextVar("owner", default=None)


def running_process() -> "SimulatedProcess | None":
    """Return whose code is running now; None outside any service."""
    return _owner.get()


def make_task(
    loop: asyncio.AbstractEventLoop, work: Any, *, context: contextvars.Context | None = None
) -> "asyncio.Task[Any]":
    """Make a task that is known to its process: the event loop's task factory."""
    task = asyncio.Task(work, loop=loop, context=context)
    owner = _owner.get() if context is None else context.get(_owner)
    if owner is not None:
        owner.tasks.add(task)
    return task


class _Server(uvicorn.Server):
    """Uvicorn that leaves the signals to whoever runs the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SimulatedProcess:
    """One life of a service."""

    def __init__(self, name: str, build: Callable[[], FastAPI], environment: Mapping[str, str], *, port: int) -> None:
        """Remember how to start; `environment` holds the service's settings."""
        self.name = name
        self.dies_at: Callable[[str], bool] = lambda _point: False
        """Tells whether it has just been killed, here: asked at each point where that may be."""
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.is_alive = True
        self._build = build
        self._environment = environment
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises: AssertionError when it does not."""
        context = contextvars.copy_context()
        context.run(_owner.set, self)
        self._serving = context.run(asyncio.create_task, self._serve())
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.is_alive and (self._server is None or not self._server.started):
                assert not self._serving.done(), f"{self.name} ended at its start: {self._serving}"
                await asyncio.sleep(0.01)

    async def _serve(self) -> None:
        with patch.dict(os.environ, self._environment):
            app = self._build()
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self._port,
            http=HotHttpProtocol,
            lifespan="on",
            access_log=False,
            log_level="critical",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            ws="none",
        )
        config.load()
        self._server = _Server(config)
        await self._server.serve()

    async def stop(self) -> None:
        """Let it end in good order."""
        assert self._server is not None, "it was never started"
        assert self._serving is not None, "it was never started"
        self._server.should_exit = True
        await self._serving

    def silence(self) -> None:
        """Let nothing that it still does be seen by any caller; it says nothing more to the broker either."""
        self.is_alive = False
        self._hang_up()

    def _hang_up(self) -> None:
        if self._server is None or not self._server.started:
            return
        for listening in self._server.servers:
            listening.close()
        for connection in tuple(self._server.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()

    async def end(self) -> None:
        """End all its tasks, after `silence`: what they do in parting moves nothing. Raises: AssertionError."""
        for _ in range(_ENDS):
            left = [task for task in tuple(self.tasks) if not task.done() and task is not asyncio.current_task()]
            if not left:
                self._hang_up()  # it may have begun to listen since
                return
            for task in left:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(left, timeout=1.0)
        raise AssertionError(f"{self.name} does not end: {left}")
