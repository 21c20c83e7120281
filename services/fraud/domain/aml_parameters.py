"""By what payments are judged: figures of each profile, as data. Every alert names their version."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AmlParameters:
    """One version of one profile's figures; amounts in US cents. Without threshold, senders or floor: not looked for.

    Structuring: payments of at least `structuring_near_per_cent` of the threshold and below it, so many within a short
    or a long window; across all receivers or to one of them. Fan-in: so many senders of whom so many per cent had
    never paid him before, and a floor for what they sent. Pass-through: so many per cent of what came in goes out
    again, at least and at most, above a floor; with `pass_through_parties_max`, between no more than so many others
    on either side.
    """

    version: int
    structuring_threshold_minor: int | None
    structuring_near_per_cent: int
    structuring_short_hours: int
    structuring_short_count: int
    structuring_long_hours: int
    structuring_long_count: int
    structuring_across_receivers: bool
    fan_in_senders: int | None
    fan_in_new_per_cent: int
    fan_in_hours: int
    fan_in_floor_minor: int
    pass_through_floor_minor: int | None
    pass_through_hours: int
    pass_through_out_per_cent: int
    pass_through_out_per_cent_max: int
    pass_through_parties_max: int | None
