"""When a process that died is started again."""

from dataclasses import dataclass

QUICK_DEATH_SECONDS = 5.0
"""A process that lived shorter than this has failed to start rather than failed once."""

_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 5.0


@dataclass
class RestartPolicy:
    """Counts quick deaths in a row and lets the delay grow with them: 0, 0.25, 0.5, 1 … 5 seconds."""

    quick_deaths: int = 0

    def delay_after(self, lived_seconds: float) -> float:
        """Return how many seconds to wait before the next start of a process that lived this long."""
        if lived_seconds >= QUICK_DEATH_SECONDS:
            self.quick_deaths = 0
            return 0.0
        self.quick_deaths += 1
        if self.quick_deaths == 1:
            return 0.0
        return min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** (self.quick_deaths - 2))
