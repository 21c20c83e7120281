"""Bodies beyond what every route takes: only of somebody who may ask, and few at once, since they are held whole."""

from typing import Final

from libs.common.errors import Unavailable

MAX_BODY_BYTES: Final = 1024 * 1024
"""What every route takes."""
MAX_BATCH_BODY_BYTES: Final = 32 * 1024 * 1024
"""What the routes for many transfers take."""

_AT_ONCE_MAX: Final = 4


class LargeBodies:
    """Counts the large bodies that this process holds."""

    def __init__(self, at_once_max: int = _AT_ONCE_MAX) -> None:
        """Begin with none."""
        self._at_once_max = at_once_max
        self._held = 0

    def enter(self) -> None:
        """Count one more, to be left later. Raises: Unavailable overloaded."""
        if self._held >= self._at_once_max:
            raise Unavailable("overloaded", "Too many large requests are being read; try again.", retry_after_seconds=2)
        self._held += 1

    def leave(self) -> None:
        """Count one less."""
        self._held -= 1


LARGE_BODIES: Final = LargeBodies()
