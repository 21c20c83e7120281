"""What the gateway does without being asked: loops that end with the process, and timers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

from libs.common.audit.audit_log import AuditLog
from libs.common.clock import system_clock
from libs.common.db.hot import HotConnection
from libs.common.loops import say_when_it_ends
from libs.common.messaging.bus import Bus
from libs.common.messaging.publisher import Publisher
from libs.common.timers import Timers
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.composition.money import Files
from services.gateway.keys import read_audit_key
from services.gateway.settings import GatewaySettings
from services.gateway.store.seal_witness import SealWitness
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.keep_events import PruneEvents
from services.gateway.use_cases.project_outcomes import poll_outcomes
from services.gateway.use_cases.record_callers import RecordCallers
from services.gateway.use_cases.repeat_requests import Repeater
from services.gateway.use_cases.seal_audit_log import SealAuditLog
from services.gateway.use_cases.send_webhooks import SendWebhooks
from services.gateway.use_cases.tell_disabled_webhooks import TellDisabledWebhooks
from services.gateway.use_cases.tell_events import EventStreams
from services.gateway.webhook_secrets import WebhookSecrets
from services.gateway.webhook_sender import WebhookSender

Loop = Callable[[], Coroutine[Any, Any, None]]
_PRUNE_SECONDS: Final = 3600.0
_TELL_SECONDS: Final = 30.0
_SEAL_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 0.1


class Loops:
    """Loops that run as long as the process does; when one ends by itself, the process is not ready any more."""

    def __init__(self) -> None:
        """Begin with none."""
        self._loops: list[Loop] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, *loops: Loop) -> None:
        """Have these run, too."""
        self._loops += loops

    def start(self) -> None:
        """Run them."""
        self._tasks = [say_when_it_ends(asyncio.create_task(loop())) for loop in self._loops]

    async def stop(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def what_is_wrong(self) -> str | None:
        """Return which loop has ended, or None."""
        ended = next((task for task in self._tasks if task.done()), None)
        return None if ended is None else f"a background loop has ended ({ended}); restart the process"


def add_api_loops(
    loops: Loops,
    money: MoneyRoutes,
    files: Files,
    streams: EventStreams,
    waiters: Waiters,
    lookup: HotConnection,
    audit_log: AuditLog,
) -> None:
    """Have run what an api process does: take in, carry out files, tell events, note callers, wake who waits."""
    loops.add(
        money.intake.run,
        files.work.run,
        streams.run,
        RecordCallers(money.callers, audit_log, system_clock).run,
        lambda: _tick(waiters),
        lambda: poll_outcomes(waiters, lookup),
    )


def add_worker_loops(
    loops: Loops, settings: GatewaySettings, connections: Mapping[str, HotConnection], bus: Bus
) -> None:
    """Have run what a worker does: send requests again, and webhooks."""
    sender, secrets = WebhookSender(settings.webhook_allowed_hosts), WebhookSecrets(settings.webhook_keys_file)
    loops.add(
        Repeater(connections["repeats"], bus.publisher, system_clock).run,
        SendWebhooks(connections["sending"], sender, secrets, system_clock).run,
    )


def set_timers(
    timers: Timers,
    settings: GatewaySettings,
    connections: Mapping[str, HotConnection],
    publisher: Publisher,
    files: Files,
) -> None:
    """Set what a worker does now and then: forget what is old, tell of disabled webhooks, seal the audit log."""
    tell_disabled = TellDisabledWebhooks(connections["sending"], publisher, system_clock)
    timers.every(_TELL_SECONDS, "tell-disabled-webhooks", tell_disabled)
    timers.every(_PRUNE_SECONDS, "drop-left-over-files", files.receive.sweep)
    timers.every(_PRUNE_SECONDS, "prune-events", PruneEvents(connections["events"], system_clock))
    if settings.audit_key_file is None:
        return
    key, witness = read_audit_key(settings.audit_key_file), SealWitness(settings.audit_witness_file)
    seal = SealAuditLog(connections["seals"], settings.audit_origin, key, witness, system_clock)
    timers.every(_SEAL_SECONDS, "seal-audit-log", seal)


async def _tick(waiters: Waiters) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        waiters.end_expired()
