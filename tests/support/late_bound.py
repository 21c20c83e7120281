"""What stands in for objects that each test has anew, in an application that is made once for many tests."""

from typing import Any


class LateBound:
    """Is whatever `stands_for` is at the moment. Until a test has set it, whoever asks it for anything fails."""

    def __init__(self) -> None:
        self.stands_for: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stands_for, name)

    def __call__(self, *arguments: Any) -> Any:
        return self.stands_for(*arguments)
