"""Fan-in: many send to one, and most of them had never paid him before."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from services.fraud.domain.aml_edges import HOUR_US, Due, Edge, Finding, Proof, finding_of
from services.fraud.domain.aml_parameters import AmlParameters

FAN_IN: Final = "fan_in"


def find_fan_in(subject_id: str, ins: Sequence[Edge], due: Due, parameters: AmlParameters) -> Finding | None:
    """Return what too many new senders sent him, in any window (t − W, t] that ends with a payment that is due.

    `ins` are what he received, in order. Deposits have no sender and are left out. New is whose first payment to him
    lies in the window.
    """
    senders_min = parameters.fan_in_senders
    if senders_min is None or len(ins) < senders_min:
        return None
    sent = [edge for edge in ins if edge.payer_id is not None]
    firsts = _first_payments(sent)
    window_us = parameters.fan_in_hours * HOUR_US
    proof, begin, total_minor, new = Proof(), 0, 0, 0
    senders: Counter[str | None] = Counter()
    for end, edge in enumerate(sent):
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
        firsts.append(edge.payer_id not in seen and edge.known_since_us >= edge.posted_us)
        seen.add(edge.payer_id)
    return firsts
