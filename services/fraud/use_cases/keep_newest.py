"""Of several states of one thing, the newest: a batch may bring an older one later."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class _Versioned(Protocol):
    @property
    def version(self) -> int:
        """Count the states from 1."""


T = TypeVar("T", bound=_Versioned)


def keep_newest(changes: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """Return the change with the highest version of each key, sorted by key, which is also the order of locks."""
    newest: dict[str, T] = {}
    for change in changes:
        kept = newest.get(key(change))
        if kept is None or change.version > kept.version:
            newest[key(change)] = change
    return [newest[name] for name in sorted(newest)]
