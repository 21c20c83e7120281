"""All that one customer's payments are looked through for."""

from typing import Final

from services.fraud.domain.aml_edges import Due, Finding, Ring
from services.fraud.domain.aml_fan_in import FAN_IN, find_fan_in
from services.fraud.domain.aml_parameters import AmlParameters
from services.fraud.domain.aml_pass_through import PASS_THROUGH, find_pass_through
from services.fraud.domain.aml_structuring import STRUCTURING, find_structuring

TYPOLOGIES: Final = (STRUCTURING, FAN_IN, PASS_THROUGH)


def find_patterns(subject_id: str, ring: Ring, due: Due, parameters: AmlParameters) -> list[Finding]:
    """Return at most one finding of each typology, in the order of `TYPOLOGIES`."""
    found: list[Finding | None] = []
    # Most were only paid, or only paid: nothing of the other direction is due, and its payments need no look.
    has_sent, has_received = (edges and edges[-1].posted_us >= due.since_us for edges in (ring.outs, ring.ins))
    if has_sent:
        found.append(find_structuring(subject_id, ring.outs, due, parameters))
    if has_received:
        found.append(find_fan_in(subject_id, ring.ins, due, parameters))
    if has_sent:
        found.append(find_pass_through(subject_id, ring.outs, ring.ins, due, parameters))
    return [finding for finding in found if finding is not None]
