"""How fast the payroll went, by the times in its receipts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tallystick.demo.receipts import Proven


@dataclass(frozen=True, slots=True)
class Speed:
    """Transfers posted a second, from the first request kept to the last one posted, and each one's own time."""

    per_second: float
    p50_ms: float
    p95_ms: float


def measure(proven: Sequence[Proven], transfer_ids: Collection[str]) -> Speed:
    """Return the speed of these transfers; all zero when none was proven."""
    taken = [one for one in proven if one.transfer_id in transfer_ids]
    if not taken:
        return Speed(0.0, 0.0, 0.0)
    whole = max(one.recorded_at for one in taken) - min(one.requested_at for one in taken)
    milliseconds = sorted((one.recorded_at - one.requested_at).total_seconds() * 1000 for one in taken)
    return Speed(
        per_second=len(taken) / max(whole.total_seconds(), 0.001),
        p50_ms=quantile(milliseconds, per_cent=50),
        p95_ms=quantile(milliseconds, per_cent=95),
    )


def quantile(ordered: Sequence[float], *, per_cent: int) -> float:
    """Return the smallest value that at least so many per cent of them do not exceed (nearest rank)."""
    return ordered[max(0, -(-len(ordered) * per_cent // 100) - 1)]
