"""What a process of a test believes the time to be: its machine's clock, and a step that the test orders.

Its ids carry that time, and tokens are judged by it. PostgreSQL and everybody else keep their own.
"""

import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace

_CLOCK = ".clock"
_NANOSECONDS = 1_000_000_000


def step_clock(folder: Path, service: str, seconds: int) -> None:
    """Set the clock of the service's processes so much ahead, or behind, from this moment on."""
    file = folder / f"{service}{_CLOCK}"
    draft = file.with_name(f".{file.name}")
    draft.write_text(str(seconds))
    draft.replace(file)


class SteppedClock:
    """Looks at the order whenever somebody asks for the time."""

    def __init__(self, folder: Path, service: str) -> None:
        """Obey orders from this folder for this service."""
        self._file = folder / f"{service}{_CLOCK}"

    def step_seconds(self) -> int:
        """Return how much the clock is ahead."""
        try:
            return int(self._file.read_text())
        except FileNotFoundError:
            return 0

    def now(self, tz: tzinfo | None = UTC) -> datetime:
        """Return the moment it shows."""
        return datetime.now(tz) + timedelta(seconds=self.step_seconds())

    def time(self) -> float:
        """Return the same in seconds since 1970."""
        return time.time() + self.step_seconds()

    def install(self) -> None:
        """Let this process go by it. Raises: ImportError."""
        import jwt.api_jwt  # noqa: PLC0415 -- the tests themselves keep their clock
        import uuid_utils  # noqa: PLC0415 -- as above

        from libs.common import clock, ids  # noqa: PLC0415 -- as above

        def uuid7() -> uuid_utils.UUID:
            step_seconds = self.step_seconds()
            if step_seconds == 0:
                return uuid_utils.uuid7()
            return uuid_utils.uuid7(nanoseconds=time.time_ns() + step_seconds * _NANOSECONDS)

        asked = type("datetime", (datetime,), {"now": staticmethod(self.now), "fromisoformat": datetime.fromisoformat})
        for module, name, stand_in in (
            (clock, "datetime", asked),
            (clock, "time", SimpleNamespace(time=self.time, monotonic=time.monotonic)),
            (jwt.api_jwt, "datetime", asked),
            (ids, "uuid_utils", SimpleNamespace(uuid7=uuid7)),
        ):
            setattr(module, name, stand_in)
