"""Promises the code makes to itself, checked in production too: `python -O` cannot remove them."""

from libs.common.errors import InvariantBroken


def check(condition: bool, promise: str, **facts: object) -> None:  # noqa: FBT001 -- reads as a sentence at the call
    """Do nothing when the promise holds. Raises: InvariantBroken with the promise and its facts."""
    if not condition:
        raise InvariantBroken(promise, **facts)
