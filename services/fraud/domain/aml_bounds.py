"""What a customer's payments must come to before they are worth looking through: cheap, and never too little."""

from collections.abc import Collection
from typing import Final, NamedTuple

# tidy: allow impure-value-code: values without a dictionary, made by the thousand and not looked at by the collector
import msgspec

from services.fraud.domain.aml_edges import HOUR_US, Edge, Ring
from services.fraud.domain.aml_parameters import AmlParameters

LONGEST_US: Final = 168 * HOUR_US
"""No window is longer; the database keeps to it."""
COVERED_US: Final = LONGEST_US + 24 * HOUR_US
"""How far back a tally begins: a window that ends with something a day late lies within it."""
_NEVER: Final = 1 << 62


class Bounds(NamedTuple):
    """The loosest of all profiles' figures; US cents. Who stays below them matches no pattern of any profile."""

    near_from_minor: int
    near_below_minor: int
    fan_in_senders: int
    fan_in_minor: int
    passed_in_minor: int
    passed_out_minor: int

    def is_near(self, edge: Edge) -> bool:
        """Tell whether a payment lies where structuring would put it."""
        return self.near_from_minor <= edge.usd_minor < self.near_below_minor


def bounds_of(parameters: Collection[AmlParameters]) -> Bounds:
    """Return what must be reached by any of these, whichever is whose."""
    thresholds = [
        (one.structuring_threshold_minor, one.structuring_near_per_cent)
        for one in parameters
        if one.structuring_threshold_minor is not None
    ]
    fan_ins = [(one.fan_in_senders, one.fan_in_floor_minor) for one in parameters if one.fan_in_senders is not None]
    passed = [
        (one.pass_through_floor_minor, one.pass_through_floor_minor * one.pass_through_out_per_cent // 100)
        for one in parameters
        if one.pass_through_floor_minor is not None
    ]
    return Bounds(
        min((threshold * per_cent // 100 for threshold, per_cent in thresholds), default=_NEVER),
        max((threshold for threshold, _ in thresholds), default=0),
        min((senders for senders, _ in fan_ins), default=_NEVER),
        min((floor for _, floor in fan_ins), default=_NEVER),
        min((floor for floor, _ in passed), default=_NEVER),
        min((least for _, least in passed), default=_NEVER),
    )


class Tally(msgspec.Struct, gc=False):
    """What one customer sent and received since `from_us`, all together: at least what any window from there on has.

    It only grows, until it is counted anew. `is_short` says that something older came later, or that there was more
    than was counted: then it bounds nothing.
    """

    from_us: int
    out_minor: int
    ins: int
    in_minor: int
    is_short: bool

    def add(self, edge: Edge, *, is_out: bool) -> None:
        """Take in a payment that is new."""
        if is_out:
            self.out_minor += edge.usd_minor
        else:
            self.ins += 1
            self.in_minor += edge.usd_minor
        if edge.posted_us - LONGEST_US < self.from_us:
            self.is_short = True

    def reaches(self, bounds: Bounds) -> bool:
        """Tell whether there may be a pattern of several payments in or through."""
        if self.in_minor >= bounds.fan_in_minor and self.ins >= bounds.fan_in_senders:
            return True
        if self.in_minor >= bounds.passed_in_minor and self.out_minor >= bounds.passed_out_minor:
            return True
        return self.is_short

    def count_anew(self, ring: Ring) -> None:
        """Let go of what no window reaches any more; once a day, since who is looked through has it at hand."""
        newest_us = max(edges[-1].posted_us for edges in (ring.outs, ring.ins) if edges)
        if newest_us - self.from_us <= COVERED_US + 24 * HOUR_US and not self.is_short:
            return
        self.from_us = newest_us - COVERED_US
        outs, ins = (
            [edge.usd_minor for edge in edges if edge.posted_us >= self.from_us] for edges in (ring.outs, ring.ins)
        )
        self.out_minor, self.ins, self.in_minor, self.is_short = sum(outs), len(ins), sum(ins), False
