"""The entry point that all services share: `python -m services.<name> serve | api | worker | migrate`."""

import gc
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, Literal, cast

import uvicorn
from fastapi import FastAPI

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
    _Server(config).run()


class _Server(uvicorn.Server):
    """Uvicorn that may be told to stop before it has started.

    A service waits for PostgreSQL and the broker as long as it takes; uvicorn itself would hear of the signal only
    after that. Answers that go on for ever see `is_stopping` in the application's state and end themselves.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.started:
            # Nothing has been taken in yet, so there is nothing to finish.
            os._exit(0)
        cast("FastAPI", self.config.app).state.is_stopping = True
        super().handle_exit(sig, frame)


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
