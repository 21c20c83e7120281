"""Whoever was turned down has waited before he asks again; else he is told from when on he may."""

from datetime import datetime
from math import ceil

from libs.common.clock import to_rfc3339
from libs.common.errors import Conflict
from services.kyc.domain.retry import is_too_soon


def require_waited(retry_at: datetime | None, now: datetime) -> None:
    """Let pass who has waited long enough. Raises: Conflict `retry_too_soon`, with when and how long until then."""
    if retry_at is not None and is_too_soon(retry_at, now):
        raise Conflict(
            "retry_too_soon",
            "You were turned down a short while ago; ask again from `retry_at` on.",
            retry_at=to_rfc3339(retry_at),
            retry_after_seconds=max(1, ceil((retry_at - now).total_seconds())),
        )
