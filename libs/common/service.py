"""The entry point that all services share: `python -m services.<name> serve | api | worker | migrate`."""

import gc
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, Literal, cast

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State

from libs.common.clock import monotonic_seconds
from libs.common.http.hot_protocol import HotHttpProtocol
from libs.common.settings import ServiceSettings
from libs.common.telemetry.logs import configure_logs

Role = Literal["serve", "api", "worker"]
ROLES: Final = ("serve", "api", "worker")
_GRACEFUL_SECONDS: Final = 20


def run_service(name: str, load_settings: Callable[[], ServiceSettings], build: Callable[[Role], FastAPI]) -> None:
    """Run one service until it is told to stop.

    `serve` runs the HTTP side and the consumers on one loop; `api` and `worker` run one of them, and a worker answers
    health and metrics only. `migrate` brings the service's schema up to date and ends.
    """
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role == "migrate":
        _migrate(name)
        return
    if role not in ROLES:
        sys.exit(f"usage: python -m services.{name} {'|'.join(ROLES)}|migrate")
    configure_logs(name)
    settings = load_settings()
    app = build(cast("Role", role))
    # What was imported lives as long as the process: the collector need not look at it again. Rarer, larger
    # collections: the hot paths make few cycles and many short-lived objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        loop="uvloop",
        http=HotHttpProtocol,
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        backlog=2048,
        ws="none",
    )
    Server(config, settings.drain_seconds).run()


class Server(uvicorn.Server):
    """Uvicorn that takes its leave: told to stop, it first says that it is not ready and goes on for a while.

    It may be told so before it has started: a service waits for PostgreSQL and the broker as long as it takes; uvicorn
    itself would hear of the signal only after that. Answers that go on for ever see `is_stopping` in the application's
    state and end themselves.
    """

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        """Go on for so many seconds after a stop was asked for."""
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to take leave; before the start there is nothing to take leave of."""
        if not self.started:
            os._exit(0)
        self._state.health.leave()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end now."""
        if not await super().on_tick(counter):
            return False
        now = monotonic_seconds()
        if self._ends_at is None:
            self._ends_at = now + self._drain_seconds
        if now < self._ends_at and not self.force_exit:
            return False
        self._state.is_stopping = True
        return True

    @property
    def _state(self) -> State:
        return cast("FastAPI", self.config.app).state


def _migrate(name: str) -> None:
    """Migrate this service alone, as an administrator: the running service's role may not change its own schema."""
    prefix = name.upper()
    try:
        admin_dsn, password = os.environ[f"{prefix}_ADMIN_DSN"], os.environ[f"{prefix}_ROLE_PASSWORD"]
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set; migrating needs {prefix}_ADMIN_DSN and {prefix}_ROLE_PASSWORD")
    # Alembic takes 0.14 s to import, which no other start needs.
    from libs.common.db.migrate import migrate_all  # noqa: PLC0415 -- see above

    migrate_all(admin_dsn, {name: password})
