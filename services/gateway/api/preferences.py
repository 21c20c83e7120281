"""The `Prefer` header (RFC 7240): how long a caller wants to wait for the outcome."""

import re
from typing import Final

DEFAULT_WAIT_SECONDS: Final = 5.0
MAX_WAIT_SECONDS: Final = 30.0
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,9})(?=$|[,;\s])", re.IGNORECASE)
_ASYNC: Final = re.compile(r"(?:^|[,;\s])respond-async(?=$|[,;\s])", re.IGNORECASE)


def wait_of(prefer: str | None) -> tuple[float, str | None]:
    """Return (seconds to wait, what to echo as `Preference-Applied`).

    `wait=n` is capped at 30; `respond-async` without a wait means not at all. What is not understood is ignored, as
    the RFC asks.
    """
    if prefer is None:
        return DEFAULT_WAIT_SECONDS, None
    found = _WAIT.search(prefer)
    if found is not None:
        seconds = min(float(found[1]), MAX_WAIT_SECONDS)
        return seconds, f"wait={int(seconds)}"
    if _ASYNC.search(prefer) is not None:
        return 0.0, "respond-async"
    return DEFAULT_WAIT_SECONDS, None
