"""Payments of one customer, as a test tells them: hours, dollars, and with whom."""

from dataclasses import replace
from itertools import count

from services.fraud.domain.aml_edges import HOUR_US, Due, Edge, Finding, Ring
from services.fraud.domain.aml_parameters import AmlParameters
from services.fraud.domain.aml_typologies import find_patterns

HIM = "him"
MONDAY_US = 1_750_000_000_000_000
RETAIL = AmlParameters(
    version=1,
    structuring_threshold_minor=10_000_00,
    structuring_near_per_cent=80,
    structuring_short_hours=24,
    structuring_short_count=3,
    structuring_long_hours=168,
    structuring_long_count=3,
    structuring_across_receivers=True,
    fan_in_senders=10,
    fan_in_new_per_cent=60,
    fan_in_hours=24,
    fan_in_floor_minor=2_000_00,
    pass_through_floor_minor=5_000_00,
    pass_through_hours=24,
    pass_through_out_per_cent=90,
    pass_through_out_per_cent_max=110,
    pass_through_parties_max=None,
)
BUSINESS = replace(
    RETAIL,
    structuring_across_receivers=False,
    fan_in_senders=None,
    pass_through_floor_minor=50_000_00,
    pass_through_parties_max=5,
)
EVERYTHING = Due(0, 1 << 62)


class Story:
    """What he sent and received, in the order of posting, whatever the order of the calls."""

    def __init__(self) -> None:
        self._index = count()
        self.ring = Ring()

    def sends(self, dollars: float, *, at: float, to: str | None = "somebody") -> Edge:
        return self._add(dollars, at, HIM, to)

    def gets(self, dollars: float, *, at: float, by: str | None = "somebody", known_since: float | None = None) -> Edge:
        return self._add(dollars, at, by, HIM, known_since)

    def finds(self, parameters: AmlParameters = RETAIL, *, due: Due = EVERYTHING) -> dict[str, Finding]:
        return {one.typology: one for one in find_patterns(HIM, self.ring, due, parameters)}

    def _add(
        self, dollars: float, hours: float, payer: str | None, payee: str | None, known_since: float | None = None
    ) -> Edge:
        index = next(self._index)
        posted_us = moment_us(hours)
        since_us = posted_us if known_since is None else moment_us(known_since)
        edge = Edge(posted_us, 0, index, 0, f"transfer-{index}", payer, payee, round(dollars * 100), since_us, index)
        self.ring.add(edge, is_out=payer == HIM)
        return edge


def moment_us(hours: float) -> int:
    return MONDAY_US + round(hours * HOUR_US)
