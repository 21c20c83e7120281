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
    found = (
        find_structuring(subject_id, ring.outs, due, parameters),
        find_fan_in(subject_id, ring.ins, due, parameters),
        find_pass_through(subject_id, ring.outs, ring.ins, due, parameters),
    )
    return [finding for finding in found if finding is not None]
