"""A stack to be killed piece by piece, on the local broker or on Apache Kafka, with people and money in it."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.chaos_api import Api, Person
from tests.support.chaos_books import check_answers, wait_until_quiet
from tests.support.crashing import VARIABLE
from tests.support.invariants import check_everything
from tests.support.kafka import ApacheKafka
from tests.support.load import Load
from tests.support.load_requests import Asked
from tests.support.stack import RunningStack

SERVICES = ("gateway", "fraud", "ledger", "kyc", "accounts")
VICTIMS = (*SERVICES, "broker", "postgres")

_UP = (sys.executable, str(Path(__file__).with_name("chaos_up.py")))
_OPENING_BALANCE_MINOR = 50_000
_AT_ONCE = 40
_QUIET_SECONDS = 120.0
_LONG_SECONDS = 10.0


@dataclass
class ChaosStack:
    """The stack, its broker where that is one of ours, and the folder in which crashes are ordered."""

    running: RunningStack
    folder: Path
    orders: Path
    kafka: ApacheKafka | None

    def kill(self, victim: str) -> None:
        """Kill one of VICTIMS with SIGKILL; the supervisor starts it again, or we do when Kafka is ours."""
        if victim == "broker" and self.kafka is not None:
            self.kafka.kill()
            self.kafka.spawn()
            return
        kills = {"postgres": self.running.kill_postgres, "broker": self.running.kill_broker}
        killed = kills[victim]() if victim in kills else self.running.kill_service(victim)
        assert killed, f"{victim} was not there to be killed"

    def kill_everything(self, everything: Sequence[int]) -> None:
        """Kill every process at once, the broker's too, and start them again over the same folder, at other addresses.

        Whose ids those are takes a moment to find out, in which more would be written: so they are found before. The
        loop stands meanwhile, since whom another thread starts dies with that thread.
        """
        self.running.kill_everything(everything)
        if self.kafka is not None:
            self.kafka.kill()
            self.kafka.spawn()
        self.running.start()

    def restart_broker(self) -> None:
        """Ask the broker to end in order; it is started again as after `kill`."""
        if self.kafka is not None:
            self.kafka.stop()
            self.kafka.spawn()
        else:
            self.running.stop_broker()

    @contextmanager
    def broker_away(self) -> Iterator[None]:
        """Kill the broker, and start it again when the block is over."""
        if self.kafka is not None:
            self.kafka.kill()
            yield
            self.kafka.spawn()
        else:
            with self.running.nobody_restarts():
                self.running.kill_broker()
                yield

    @property
    def admin(self) -> Mapping[str, str]:
        """The first admin's `email` and `password`."""
        account: Mapping[str, str] = self.running.stack["admin"]
        return account

    @property
    def dsn(self) -> str:
        """The administrator's DSN."""
        return str(self.running.stack["postgres"])


@contextmanager
def chaos_stack(*, keep: Callable[[], bool]) -> Iterator[ChaosStack]:
    """Run a stack whose services obey crash orders. Its folder stays when `keep` says so at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-chaos-"))
    with _kafka(folder) as kafka:
        orders = folder / "orders"
        orders.mkdir()
        environment = {VARIABLE: str(orders)} | ({"TALLYSTICK_KAFKA": kafka.address} if kafka else {})
        with RunningStack(folder / "data", command=_UP, environment=environment) as running:
            yield ChaosStack(running, folder, orders, kafka)
    if not keep():
        shutil.rmtree(folder)


@contextmanager
def _kafka(folder: Path) -> Iterator[ApacheKafka | None]:
    if os.environ.get("TALLYSTICK_TEST_KAFKA") != "apache":
        yield None
        return
    (folder / "kafka").mkdir()
    kafka = ApacheKafka(folder / "kafka")
    kafka.start()
    try:
        yield kafka
    finally:
        kafka.stop()


@dataclass
class Circle:
    """A few verified businesses who pay each other, and the operator who gave them their first money."""

    api: Api
    admin: Person
    admin_password: str
    vkey: str
    customers: list[Person] = field(default_factory=list)

    async def renew_tokens(self) -> None:
        """Log in again whoever's token has become old."""
        await self.api.log_in(self.admin, self.admin_password)
        for person in self.customers:
            await self.api.log_in(person)


async def found_circle(api: Api, account: Mapping[str, str], *, customers: int, accounts: int) -> Circle:
    """Register, verify and give accounts to the customers; `accounts` is the number of all of them together.

    `account` is the first admin's `email` and `password`.
    """
    admin = await api.log_in(Person(account["email"]), account["password"])
    admin.user_id = (await api.insist("GET", "/api/v1/me", admin))["user_id"]
    vkey = (await api.ask("GET", "/api/v1/transparency/key")).text
    circle = Circle(api, admin, account["password"], vkey)
    for number in range(customers):
        person = await api.register(f"business.{number}@example.com")
        profile = f"/api/v1/admin/users/{person.user_id}/profile"
        await api.insist("PUT", profile, admin, {"profile": "business"})
        await api.apply_for_kyc(person)
        await api.approve(admin, person)
        circle.customers.append(person)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def open_account(person: Person) -> None:
        async with gate:
            await api.open_account(person)

    await asyncio.gather(*(open_account(circle.customers[n % customers]) for n in range(accounts)))
    return circle


async def fund(circle: Circle, load: Load) -> None:
    """Give every account its first money."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def deposit(account_id: str) -> None:
        async with gate:
            await load.deposit(account_id, _OPENING_BALANCE_MINOR)

    await asyncio.gather(*(deposit(account_id) for person in circle.customers for account_id in person.account_ids))


async def settle_and_check(dsn: str, circle: Circle, load: Load) -> str:
    """Let everything come to rest, then check all promises; return how long the rest took to come and for what.

    `dsn` is the administrator's.
    """
    await load.finish()
    quiet_seconds, last = await wait_until_quiet(dsn, seconds=_QUIET_SECONDS)
    everything: list[Asked] = [*load.moves, *load.commands]
    undecided = [each for each in everything if all(answer.http_status == 202 for answer in each.answers)]
    await load.ask_again(undecided)
    assert load.unexpected == [], "\n".join(load.unexpected[:20])
    await check_answers(dsn, load.moves, load.commands)
    await check_everything(dsn, circle.vkey)
    return f"at rest after {quiet_seconds:.1f} s" + (f" ({last})" if quiet_seconds > _LONG_SECONDS else "")
