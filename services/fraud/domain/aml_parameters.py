"""By what payments are judged: figures of each profile, as data. Every alert names their version."""

from dataclasses import dataclass
from datetime import datetime

from libs.common.errors import Conflict, Forbidden, Unprocessable


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


@dataclass(frozen=True, slots=True)
class AmlProposal:
    """Figures of a profile as somebody proposed them; in force from the approval on, until a higher version is."""

    profile: str
    parameters: AmlParameters
    reason: str
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    is_void: bool = False
    """Whether whoever proposed them has lost his role since, and nobody had approved them."""


def check_figures(parameters: AmlParameters) -> None:
    """Refuse figures of which one contradicts another. Raises: Unprocessable `aml_figures_contradict`."""
    if parameters.structuring_short_hours > parameters.structuring_long_hours:
        raise _contradiction("structuring_short_hours", "The short window is longer than the long one.")
    if parameters.pass_through_out_per_cent > parameters.pass_through_out_per_cent_max:
        raise _contradiction("pass_through_out_per_cent", "The least that goes out again is above the most.")


def check_approval(proposal: AmlProposal, *, approver: str, version_in_force: int) -> None:
    """Refuse to put figures in force that one person alone has seen, or that came before those in force.

    Raises: Forbidden `own_aml_figures`; Conflict `aml_figures_approved`, `aml_figures_superseded`, `aml_figures_void`,
    in that order.
    """
    if proposal.proposed_by == approver:
        raise Forbidden("own_aml_figures", "Nobody approves figures that he proposed; ask a colleague.")
    if proposal.approved_at is not None:
        raise Conflict("aml_figures_approved", "These figures came into force before.")
    if proposal.parameters.version < version_in_force:
        raise Conflict("aml_figures_superseded", "Later figures are in force.", version=version_in_force)
    if proposal.is_void:
        raise Conflict("aml_figures_void", "Whoever proposed these has lost his role since; propose them again.")


def _contradiction(field: str, detail: str) -> Unprocessable:
    return Unprocessable("aml_figures_contradict", detail, field=field)
