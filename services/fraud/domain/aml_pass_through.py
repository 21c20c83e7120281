"""Pass-through: what comes in goes out again soon, nearly all of it."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Final

from services.fraud.domain.aml_edges import HOUR_US, Due, Edge, Finding, Proof, finding_of, posted_since
from services.fraud.domain.aml_parameters import AmlParameters

PASS_THROUGH: Final = "pass_through"  # noqa: S105 -- the name of a pattern

_key: Final = attrgetter("key")
_usd_minor: Final = attrgetter("usd_minor")
_posted_us: Final = attrgetter("posted_us")


def find_pass_through(
    subject_id: str, outs: Sequence[Edge], ins: Sequence[Edge], due: Due, parameters: AmlParameters
) -> Finding | None:
    """Return what came in and what went out, in any window (t − W, t] that ends with a payment out that is due.

    Both are in order. Out counts from the window's first payment in on. More than all of it, and something over, is no
    passing through: somebody who earns and has savings spends more than he got today.
    """
    floor_minor = parameters.pass_through_floor_minor
    if floor_minor is None or not ins or not outs:
        return None
    window_us = parameters.pass_through_hours * HOUR_US
    # Whatever is due, no window reaches further back.
    ins, outs = (posted_since(edges, due.since_us - window_us) for edges in (ins, outs))
    if sum(map(_usd_minor, ins)) < floor_minor:
        return None
    sum_in, sum_out = _sums(ins), _sums(outs)
    came, went = Proof(), Proof()
    for end_out, edge in enumerate(outs, start=1):
        if not due.has(edge):
            continue
        first_in = bisect_right(ins, edge.posted_us - window_us, key=_posted_us)
        end_in = bisect_right(ins, edge.key, key=_key)
        in_minor = sum_in[end_in] - sum_in[first_in]
        if first_in == end_in or in_minor < floor_minor:
            continue
        first_out = bisect_right(outs, ins[first_in].key, key=_key)
        out_minor = sum_out[end_out] - sum_out[first_out]
        if not _is_passed_on(in_minor, out_minor, parameters):
            continue
        if _has_few_parties(ins[first_in:end_in], outs[first_out:end_out], parameters):
            score = 50 + 10 * (in_minor // floor_minor - 1)
            came.add(ins, first_in, end_in, score)
            went.add(outs, first_out, end_out, score)
    return finding_of(PASS_THROUGH, subject_id, [came, went])


def _sums(edges: Sequence[Edge]) -> list[int]:
    return list(accumulate(map(_usd_minor, edges), initial=0))


def _is_passed_on(in_minor: int, out_minor: int, parameters: AmlParameters) -> bool:
    least, most = parameters.pass_through_out_per_cent, parameters.pass_through_out_per_cent_max
    return in_minor * least <= out_minor * 100 <= in_minor * most


def _has_few_parties(ins: Sequence[Edge], outs: Sequence[Edge], parameters: AmlParameters) -> bool:
    most = parameters.pass_through_parties_max
    if most is None:
        return True
    return len({edge.payer_id for edge in ins}) <= most and len({edge.payee_id for edge in outs}) <= most
