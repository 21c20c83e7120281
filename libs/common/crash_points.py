"""Named places where a crash hurts most. Nothing happens there, unless a test puts something in.

The tests' launcher (tests/support/crashing.py) replaces the hook with one that kills the process; production code has
no switch for it, neither a variable nor a setting.
"""

from collections.abc import Callable


def _nothing(_name: str) -> None:
    return


_hook: Callable[[str], None] = _nothing


def reached(name: str) -> None:
    """Say that this point was reached, such as `ledger.after_commit_before_publish`."""
    _hook(name)


def install(hook: Callable[[str], None]) -> None:
    """Let a test decide what happens at each point."""
    global _hook  # noqa: PLW0603 -- one process, one hook, set before anything runs
    _hook = hook
