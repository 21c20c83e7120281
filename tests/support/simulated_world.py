"""All five services within one process, over a real PostgreSQL, with a broker that obeys and doors that fail.

What is real: every use case, consumer, table and message, HTTP between clients and services, delivery, outbox,
publisher. What is not: the broker, and that a service is a process. So a life that was killed leaves behind in memory
what its modules remember for all, such as the exponents of assets.
"""

import asyncio
import contextvars
import importlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

from fastapi import FastAPI

from libs.common import crash_points
from libs.common.clock import Clock
from libs.common.db.migrate import migrate_all
from libs.common.settings import ServiceSettings
from tallystick.stack.ports import free_port, free_ports
from tallystick.stack.service_settings import StackPlan, service_settings
from tallystick.stack.stack_secrets import load_or_make_keys, load_or_make_secrets
from tests.support.api_world import ROLE_PASSWORD
from tests.support.failing_database import FailingDatabase
from tests.support.simulated_broker import SimulatedBroker
from tests.support.simulated_bus import SimulatedBus
from tests.support.simulated_faults import CALM, DrawnFates, Faults
from tests.support.simulated_process import SimulatedProcess, make_task, running_process

SERVICES = ("accounts", "kyc", "ledger", "fraud", "gateway")


@dataclass
class Life:
    """One life of a service, and the door through which it reaches the database."""

    process: SimulatedProcess
    database: FailingDatabase

    def die(self) -> None:
        """Be killed: from now on nobody sees what it does."""
        self.process.silence()
        self.database.die()


@dataclass
class World:
    """The running services; `crash_at` names the point at which a service is to be killed, and the how manyth time."""

    dsn: str
    folder: Path
    faults: Faults
    plan: StackPlan
    broker: SimulatedBroker
    lives: dict[str, Life] = field(default_factory=dict)
    crash_at: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Service → crash point, or `statement`, `answer`, `publish`, `acknowledgement`; and how often it comes there."""
    deaths: int = 0
    _born: int = 0
    _births: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _beginning: "list[asyncio.Task[None]]" = field(default_factory=list)

    @property
    def admin(self) -> Mapping[str, str]:
        """The first admin's `email` and `password`."""
        return {"email": self.plan.secrets.admin_email, "password": self.plan.secrets.admin_password}

    @property
    def api(self) -> str:
        """The gateway's address."""
        return self.plan.url_of("gateway")

    async def start(self, name: str) -> None:
        """Begin a life of this service."""
        self.lives[name] = await self._bear(name, self.plan.ports[name])

    async def _bear(self, name: str, port: int) -> Life:
        self._born += 1
        folder = self.folder / f"{self._born}"
        database = FailingDatabase(self.dsn, folder, partial(DrawnFates, self.faults))
        await database.open()
        environment = service_settings(name, self.plan)
        variable = f"{name.upper()}_POSTGRES_DSN"
        environment[variable] = database.dsn_of(environment[variable])
        build: Callable[[str], FastAPI] = importlib.import_module(f"services.{name}.app").build
        process = SimulatedProcess(name, partial(build, "serve"), environment, port=port)
        process.dies_at = database.dies_at = partial(self._dies_at, process)
        await process.start()
        return Life(process, database)

    @asynccontextmanager
    async def two_of(self, name: str, *, unaware_seconds: float) -> AsyncIterator[str]:
        """Let a second life of this service take over for as long as the block lasts, and be killed at its end.

        Gives its address. The first goes on for some time without noticing, as a process does that was paused.
        """
        port = free_port()
        second = await self._bear(name, port)
        self.broker.hand_over(second.process, unaware_seconds=unaware_seconds)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            second.die()
            self.deaths += 1
            await second.process.end()

    async def kill(self, name: str) -> None:
        """End a life as SIGKILL does, and begin the next one."""
        life = self.lives[name]
        life.die()
        self.deaths += 1
        await self._begin_anew(name, life)

    def cut(self, name: str) -> None:
        """Cut the service's connections to the database; it may open others."""
        self.lives[name].database.cut()

    async def calm(self) -> None:
        """Let everything work from now on, and wait until whoever was killed lives again."""
        self.faults.rates = CALM
        self.crash_at.clear()
        while self._beginning:
            await self._beginning.pop()

    def reached(self, point: str) -> None:
        """Kill the running service if this is where it is to die: the hook of all crash points."""
        process = running_process()
        if process is not None and self._dies_at(process, point):
            raise asyncio.CancelledError(f"killed at {point}")

    def _dies_at(self, process: SimulatedProcess, point: str) -> bool:
        wanted, times = self.crash_at.get(process.name, ("", 0))
        life = self.lives.get(process.name)
        # Of two lives of a service the first is meant; one that has not begun well is not killed again.
        if wanted != point or not process.is_alive or life is None or life.process is not process:
            return False
        if times > 1:
            self.crash_at[process.name] = (point, times - 1)
            return False
        del self.crash_at[process.name]
        life.die()
        self.deaths += 1
        # In a context of its own: what begins anew belongs to nobody who was killed.
        self._beginning.append(
            asyncio.get_running_loop().create_task(self._begin_anew(process.name, life), context=contextvars.Context())
        )
        return True

    async def _begin_anew(self, name: str, after: Life) -> None:
        async with self._births[name]:
            if self.lives[name] is after:  # else somebody who killed it, too, was faster
                await after.process.end()
                await self.start(name)


@asynccontextmanager
async def simulated_world(dsn: str, folder: Path) -> AsyncIterator[World]:
    """Run the services on a migrated database of their own."""
    asyncio.get_running_loop().set_task_factory(make_task)
    faults = Faults()
    broker = SimulatedBroker(faults)
    secrets = load_or_make_secrets(folder)
    secrets.role_passwords.update(dict.fromkeys(secrets.role_passwords, ROLE_PASSWORD))
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    plan = StackPlan(
        postgres=dsn,
        kafka="simulated:9092",
        kafka_idempotence=False,
        ports=ports,
        secrets=secrets,
        keys=load_or_make_keys(folder / "keys"),
        checkpoints=_made(folder / "checkpoints"),
        mail=_made(folder / "mail"),
        documents=_made(folder / "documents"),
        rate_limits=False,
        velocity_limits=True,
    )
    world = World(dsn, folder, faults, plan, broker)

    def make_bus(settings: ServiceSettings, *, service: str, clock: Clock) -> SimulatedBus:
        process = running_process()
        assert process is not None, "a bus outside any service"
        return SimulatedBus(settings, service=service, clock=clock, broker=broker, process=process)

    with ExitStack() as stack:
        for name in SERVICES:
            stack.enter_context(patch(f"services.{name}.app.Bus", make_bus))
        crash_points.install(world.reached)
        stack.callback(crash_points.install, lambda _point: None)
        await asyncio.gather(*(world.start(name) for name in SERVICES))
        try:
            yield world
        finally:
            await world.calm()
            for life in world.lives.values():
                life.die()
                await life.process.end()


def migrate(dsn: str) -> None:
    """Make the schemas of all five."""
    migrate_all(dsn, dict.fromkeys(SERVICES, ROLE_PASSWORD))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
