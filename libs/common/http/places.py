"""How many may have something at once: in all, and each of them."""

from collections import Counter

from libs.common.errors import Unavailable


class Places:
    """Counts who holds how many places of this process, so that nobody can hold all of them."""

    def __init__(self, at_once_max: int, each_max: int, full: str) -> None:
        """Begin with none held; `full` is what somebody is told who gets none."""
        self._at_once_max = at_once_max
        self._each_max = each_max
        self._full = full
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many are held now."""
        return self._held.total()

    def enter(self, who: str) -> None:
        """Give somebody one, to be left later. Raises: Unavailable overloaded."""
        if self._held[who] >= self._each_max or self.held >= self._at_once_max:
            raise Unavailable("overloaded", self._full, retry_after_seconds=2)
        self._held[who] += 1

    def leave(self, who: str) -> None:
        """Take one back."""
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
