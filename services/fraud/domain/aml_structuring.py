"""Structuring: a sum cut into payments that each stay just below what would be reported."""

from collections.abc import Sequence
from typing import Final

from services.fraud.domain.aml_edges import HOUR_US, Due, Edge, Finding, Proof, finding_of, posted_since
from services.fraud.domain.aml_parameters import AmlParameters

STRUCTURING: Final = "structuring"


def find_structuring(subject_id: str, outs: Sequence[Edge], due: Due, parameters: AmlParameters) -> Finding | None:
    """Return the payments near the threshold that come too often, in any window that ends with one that is due.

    A window is (t − W, t]. `outs` are what he sent, in order; all are looked at together, or each receiver's alone.
    """
    threshold_minor = parameters.structuring_threshold_minor
    if threshold_minor is None:
        return None
    near_minor = -(-threshold_minor * parameters.structuring_near_per_cent // 100)
    if not any(near_minor <= edge.usd_minor < threshold_minor for edge in posted_since(outs, due.since_us)):
        return None
    near = [edge for edge in outs if near_minor <= edge.usd_minor < threshold_minor]
    groups: dict[str | None, list[Edge]] = {}
    for edge in near:
        groups.setdefault(None if parameters.structuring_across_receivers else edge.payee_id, []).append(edge)
    windows = (
        (parameters.structuring_short_hours * HOUR_US, parameters.structuring_short_count),
        (parameters.structuring_long_hours * HOUR_US, parameters.structuring_long_count),
    )
    proofs = [
        _prove(group, due, window_us=window_us, count=count, threshold_minor=threshold_minor)
        for group in groups.values()
        for window_us, count in windows
        if len(group) >= count
    ]
    return finding_of(STRUCTURING, subject_id, proofs)


def _prove(near: Sequence[Edge], due: Due, *, window_us: int, count: int, threshold_minor: int) -> Proof:
    proof, begin, total_minor = Proof(), 0, 0
    for end, edge in enumerate(near):
        total_minor += edge.usd_minor
        while near[begin].posted_us <= edge.posted_us - window_us:
            total_minor -= near[begin].usd_minor
            begin += 1
        found = end + 1 - begin
        if found >= count and total_minor > threshold_minor and due.has(edge):
            proof.add(near, begin, end + 1, 50 + 10 * (found - count))
    return proof
