"""Fan-in: many send to one, and most of them had never paid him before."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from services.fraud.domain.aml_edges import HOUR_US, Due, Edge, Finding, Proof, finding_of, posted_since
from services.fraud.domain.aml_parameters import AmlParameters

FAN_IN: Final = "fan_in"

_payer_id: Final = attrgetter("payer_id")
_posted_us: Final = attrgetter("posted_us")
_usd_minor: Final = attrgetter("usd_minor")


def find_fan_in(subject_id: str, ins: Sequence[Edge], due: Due, parameters: AmlParameters) -> Finding | None:
    """Return what too many new senders sent him, in any window (t − W, t] that ends with a payment that is due.

    `ins` are what he received, in order. Deposits have no sender and are left out. New is whose first payment to him
    lies in the window.
    """
    senders_min = parameters.fan_in_senders
    if senders_min is None or len(ins) < senders_min:
        return None
    window_us = parameters.fan_in_hours * HOUR_US
    reached = [edge for edge in posted_since(ins, due.since_us - window_us) if edge.payer_id is not None]
    if len(set(map(_payer_id, reached))) < senders_min or sum(map(_usd_minor, reached)) < parameters.fan_in_floor_minor:
        return None
    sent = [edge for edge in ins if edge.payer_id is not None]
    firsts = _first_payments(sent)
    # Who is paid all day is looked through all day: what lies before the first window is counted, not gone through.
    due_from = bisect_left(sent, due.since_us, key=_posted_us)
    begin = len(sent) - len(reached)
    senders = Counter(map(_payer_id, sent[begin:due_from]))
    total_minor, new = sum(map(_usd_minor, sent[begin:due_from])), sum(firsts[begin:due_from])
    proof = Proof()
    for end in range(due_from, len(sent)):
        edge = sent[end]
        total_minor += edge.usd_minor
        senders[edge.payer_id] += 1
        new += firsts[end]
        while sent[begin].posted_us <= edge.posted_us - window_us:
            gone = sent[begin]
            total_minor -= gone.usd_minor
            senders[gone.payer_id] -= 1
            if not senders[gone.payer_id]:
                del senders[gone.payer_id]
            new -= firsts[begin]
            begin += 1
        if (
            len(senders) >= senders_min
            and new * 100 >= parameters.fan_in_new_per_cent * len(senders)
            and total_minor >= parameters.fan_in_floor_minor
            and due.has(edge)
        ):
            proof.add(sent, begin, end + 1, 50 + 5 * (len(senders) - senders_min))
    return finding_of(FAN_IN, subject_id, [proof])


def _first_payments(sent: Sequence[Edge]) -> list[bool]:
    """Tell of each whether it is its sender's first: the first here, and none is known from before."""
    seen: set[str | None] = set()
    firsts = []
    for edge in sent:
        payer_id = edge.payer_id
        if payer_id in seen:
            firsts.append(False)
        else:
            firsts.append(edge.known_since_us >= edge.posted_us)
            seen.add(payer_id)
    return firsts
