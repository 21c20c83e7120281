"""`tallystick up`: PostgreSQL, the broker and the five services over one data folder, from start to stop."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tallystick.stack.broker import LocalBroker
from tallystick.stack.errors import StackError
from tallystick.stack.folder_lock import folder_lock
from tallystick.stack.ledger_trust import CHECKPOINTS
from tallystick.stack.local_process import LocalProcess
from tallystick.stack.ports import LOOPBACK, free_ports, is_free
from tallystick.stack.postgres import LocalPostgres
from tallystick.stack.service import LocalService, Migration
from tallystick.stack.service_commands import (
    MigrateCommand,
    ServiceCommand,
    import_what_services_need,
    migrate_command,
    serve_command,
)
from tallystick.stack.service_settings import StackPlan, service_settings
from tallystick.stack.stack_file import Admin, ServiceAddress, Stack, remove_stack, write_stack
from tallystick.stack.stack_secrets import SERVICES, load_or_make_keys, load_or_make_secrets
from tallystick.stack.supervisor import StopAsked, Supervisor
from tallystick.stack.wakeups import Wakeups

# The ledger comes up first and goes down last, the gateway the other way round: nobody is asked what he cannot answer.
START_ORDER = ("ledger", "fraud", "kyc", "accounts", "gateway")

_INFRASTRUCTURE_PATIENCE_SECONDS = 60.0
_MIGRATION_PATIENCE_SECONDS = 120.0
_SERVICES_PATIENCE_SECONDS = 60.0
_PORT_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class StackOptions:
    """What a person may choose about a stack."""

    folder: Path
    port: int = 8080
    """Of the gateway; 0 means any free one."""
    kafka: str | None = None
    """`host:port` of a Kafka used instead of the local broker."""
    postgres: str | None = None
    """An administrator's DSN of a server used instead of the local one."""
    rate_limits: bool = True
    velocity_limits: bool = True


class LocalStack:
    """One run of the stack: started, kept alive and stopped by `run`."""

    def __init__(
        self,
        options: StackOptions,
        *,
        announce: Callable[[Stack], None],
        say: Callable[[str], None],
        service_command: ServiceCommand = serve_command,
        migrate_command: MigrateCommand = migrate_command,
        prepare: Callable[[], None] = import_what_services_need,
    ) -> None:
        """Describe the run. `announce` is called once, when everything is ready; `say` with what happens later.

        `prepare` is called while the servers start: a core has nothing else to do then.
        """
        self._options = options
        self._folder = options.folder.resolve()
        self._announce = announce
        self._say = say
        self._service_command = service_command
        self._migrate_command = migrate_command
        self._prepare = prepare
        self._processes: dict[str, LocalProcess] = {}
        self._running: StackPlan | None = None

    def run(self) -> None:
        """Start everything, announce it, keep it alive until SIGINT, SIGTERM or SIGHUP, then stop it in order.

        Raises:
            StackAlreadyRunning: another run holds the folder.
            StartFailed: something did not come up; everything started is stopped again.
            StackError: the folder or the port cannot be used.
        """
        _make_folder(self._folder)
        with Wakeups() as wakeups, folder_lock(self._folder):
            supervisor = Supervisor(wakeups, say=self._say, on_restart=self._write_stack_file)
            try:
                self._running = self._start(supervisor)
                self._write_stack_file()
                self._announce(self._describe(self._running))
                supervisor.watch()
            except StopAsked:
                self._say("stopping")
            finally:
                remove_stack(self._folder)
                supervisor.stop_all()

    def _start(self, supervisor: Supervisor) -> StackPlan:
        remove_stack(self._folder)
        ports = self._choose_ports()
        postgres, kafka = self._start_infrastructure(supervisor)
        plan = StackPlan(
            postgres=postgres,
            kafka=kafka,
            kafka_idempotence=self._options.kafka is not None,
            ports=ports,
            secrets=load_or_make_secrets(self._folder),
            keys=load_or_make_keys(self._folder / "keys"),
            checkpoints=self._folder / CHECKPOINTS,
            mail=self._folder / "mail",
            documents=(self._folder / "documents").absolute(),
            rate_limits=self._options.rate_limits,
            velocity_limits=self._options.velocity_limits,
        )
        supervisor.run_once(self._migration(postgres), timeout_seconds=_MIGRATION_PATIENCE_SECONDS)
        services = [self._service(name, plan) for name in START_ORDER]
        for service in services:
            self._spawn(supervisor, service)
        supervisor.wait_until_ready(services, timeout_seconds=_SERVICES_PATIENCE_SECONDS)
        return plan

    def _start_infrastructure(self, supervisor: Supervisor) -> tuple[str, str]:
        """Start what the options do not replace, both at once; return the DSN and the broker's address."""
        postgres, kafka = self._options.postgres, self._options.kafka
        started: list[LocalProcess] = []
        if postgres is None:
            server = LocalPostgres(self._folder / "postgres", log_file=self._logs / "postgres.log")
            self._spawn(supervisor, server)
            started.append(server)
            postgres = server.dsn
        if kafka is None:
            broker = LocalBroker(self._logs / "kafka.log")
            self._spawn(supervisor, broker)
            started.append(broker)
            kafka = broker.address
        self._prepare()
        supervisor.wait_until_ready(started, timeout_seconds=_INFRASTRUCTURE_PATIENCE_SECONDS)
        return postgres, kafka

    def _spawn(self, supervisor: Supervisor, process: LocalProcess) -> None:
        self._processes[process.name] = process
        supervisor.add(process)

    def _service(self, name: str, plan: StackPlan) -> LocalService:
        return LocalService(
            name,
            port=plan.ports[name],
            command=self._service_command(name),
            settings=service_settings(name, plan),
            logs=self._logs,
        )

    def _migration(self, postgres: str) -> Migration:
        command = self._migrate_command(self._folder)
        return Migration(command, {"TALLYSTICK_POSTGRES": postgres}, self._logs)

    @property
    def _logs(self) -> Path:
        return self._folder / "logs"

    def _choose_ports(self) -> Mapping[str, int]:
        """Fix every service's port for this run. Raises: StackError when the wished one is taken."""
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        if self._options.port:
            _expect_free(self._options.port)
            ports["gateway"] = self._options.port
        return ports

    def _write_stack_file(self) -> None:
        """Publish addresses and process ids in `stack.json`; before everything has been ready, nothing."""
        if self._running is not None:
            write_stack(self._folder, self._describe(self._running))

    def _describe(self, plan: StackPlan) -> Stack:
        def pids(name: str) -> list[int]:
            return self._processes[name].pids() if name in self._processes else []

        return Stack(
            api=plan.url_of("gateway"),
            services={
                name: ServiceAddress(url=plan.url_of(name), metrics=f"{plan.url_of(name)}/metrics", pids=pids(name))
                for name in SERVICES
            },
            infrastructure={name: {"pids": pids(name)} for name in ("postgres", "kafka")},
            postgres=plan.postgres,
            kafka=plan.kafka,
            admin=Admin(plan.secrets.admin_email, plan.secrets.admin_password),
            internal_token=plan.secrets.internal_token,
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
    except OSError as error:
        raise StackError(f"{folder} cannot be used: {error.strerror}; choose another folder with --data") from error


def _expect_free(port: int) -> None:
    # The gateway of a run that was killed a moment ago may still be closing.
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            raise StackError(f"port {port} on {LOOPBACK} is in use; `tallystick up --port 0` takes any free one")
        time.sleep(0.05)
