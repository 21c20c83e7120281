"""What no transaction records: refusals, log-ins, reads of what is others'. Collected in memory, written in batches.

A process that is killed takes with it what it noted in the last half second. What staff read is not among that: it is
answered once its entry is durable.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from libs.common.audit.audit_log import ENTRIES_MAX, AuditLog
from libs.common.clock import Clock, monotonic_seconds
from libs.common.contracts.audit import AuditEntry
from libs.common.errors import Unavailable
from libs.common.loops import say_when_it_ends
from libs.common.proof.canonical_json import canonical
from libs.common.telemetry.metrics import AUDIT_LOST

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_REPEAT_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 3.0
_WAITING_MAX: Final = 10_000
_BEFORE_A_LOOK: Final = frozenset({"rate_limited", "role_required", "scope_required", "person_required"})
"""Why a request is refused whatever it names."""
_Alike = tuple[str, ...]


class _Waiting:
    """An entry on its way into the table; `durable` is set when somebody waits for that."""

    __slots__ = ("durable", "entry", "times")

    def __init__(self, entry: AuditEntry, durable: asyncio.Future[None] | None = None) -> None:
        self.entry = entry
        self.times = 1
        self.durable = durable

    def whole(self) -> AuditEntry:
        """Return the entry, with how often it happened if more than once."""
        if self.times == 1:
            return self.entry
        facts = canonical({**msgspec.json.decode(self.entry.facts), "times": self.times})
        return msgspec.structs.replace(self.entry, facts=facts.decode("utf-8"))


class AuditTrail:
    """Notes entries and writes them twice a second, alike refusals as one. Bounded: beyond 10,000 it counts losses."""

    def __init__(self, audit_log: AuditLog, clock: Clock) -> None:
        """Write to this log."""
        self.service: Final = audit_log.service
        self.clock: Final = clock
        self._log = audit_log
        self._waiting: deque[_Waiting] = deque()
        self._alike: dict[_Alike, _Waiting] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._repeated_at = monotonic_seconds()

    def note(self, entry: AuditEntry) -> None:
        """Have an entry written soon. Those refused or failed for one cause within half a second become one."""
        alike = _alike(entry)
        if entry.outcome != "done" and alike in self._alike:
            self._alike[alike].times += 1
            return
        if len(self._waiting) >= _WAITING_MAX:
            AUDIT_LOST.labels(self.service).inc()
            return
        waiting = _Waiting(entry)
        self._waiting.append(waiting)
        if entry.outcome != "done":
            self._alike[alike] = waiting

    async def keep(self, entry: AuditEntry) -> None:
        """Return once the entry is durable. Raises: Unavailable; then it is not written at all."""
        if len(self._waiting) >= _WAITING_MAX:
            raise Unavailable("audit_unavailable", "What is read of others must be recorded; try again.")
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(entry, durable))
        self._wanted.set()
        await durable

    async def start(self) -> None:
        """Write from now on."""
        self._task = say_when_it_ends(asyncio.create_task(self._run(), name=f"{self.service}-audit-trail"))

    async def stop(self) -> None:
        """Write what is left, within a bound, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_STOP_SECONDS):
                while self._waiting:
                    await self._write()
        if self._waiting:
            AUDIT_LOST.labels(self.service).inc(len(self._waiting))
            log.error("audit_entries_lost", entries=len(self._waiting))
        await self._log.close()

    def what_is_wrong(self) -> str | None:
        """Return why nothing is written any more, or None."""
        if self._task is not None and self._task.done():
            return f"the audit trail's loop has ended: {self._task!r}"
        return None

    async def _run(self) -> None:
        while True:
            # Not `wait_for`: in Python 3.11 it takes no notice of a stop that comes together with an entry.
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                while self._waiting:
                    await self._write()
                await self._repeat()
            except Unavailable as reason:
                log.warning("audit_entries_wait", code=reason.code, entries=len(self._waiting))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self) -> None:
        """Write up to a hundred of what waits. Raises: Unavailable; nothing is lost then but what nobody read."""
        self._alike.clear()
        batch = [self._waiting.popleft() for _ in range(min(ENTRIES_MAX, len(self._waiting)))]
        try:
            await self._log.append([waiting.whole() for waiting in batch])
        except Unavailable as reason:
            self._waiting.extendleft(waiting for waiting in reversed(batch) if waiting.durable is None)
            _tell(batch, Unavailable("audit_unavailable", f"The audit log cannot be written ({reason.code})."))
            raise
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(batch))
            raise
        except Exception:  # one entry that the table refuses must not keep out the others
            log.exception("audit_batch_refused", entries=len(batch))
            await self._write_singly(batch)
        _tell(batch, None)

    async def _write_singly(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            try:
                await self._log.append([waiting.whole()])
            except Unavailable:
                self._waiting.append(waiting)
            except Exception:  # as above: it is lost, and everybody is told
                AUDIT_LOST.labels(self.service).inc()
                log.exception("audit_entry_refused", action=waiting.entry.action)
                _tell([waiting], Unavailable("audit_unavailable", "The audit log does not take this; try again."))

    async def _repeat(self) -> None:
        if monotonic_seconds() - self._repeated_at < _REPEAT_SECONDS:
            return
        while await self._log.repeat(self.clock()):
            pass
        self._repeated_at = monotonic_seconds()


def _tell(batch: list[_Waiting], failure: Unavailable | None) -> None:
    for waiting in batch:
        if waiting.durable is None or waiting.durable.done():
            continue
        if failure is None:
            waiting.durable.set_result(None)
        else:
            waiting.durable.set_exception(failure)


def _alike(entry: AuditEntry) -> _Alike:
    return (
        entry.action,
        entry.actor_id,
        entry.resource_type,
        # Who is nobody, beyond his limit or without a right, and names another thing each time would fill the log
        # without end; nobody has looked at what he named.
        "" if not entry.actor_id or entry.reason in _BEFORE_A_LOOK else entry.resource_id,
        entry.address,
        entry.outcome,
        entry.reason,
        entry.facts,
    )
