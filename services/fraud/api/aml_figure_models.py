"""Bodies and answers about the figures of the AML watch. Amounts are US cents."""

from dataclasses import asdict
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from libs.common.clock import to_rfc3339
from libs.common.http.models import AmountMinor, ShortText, StrictModel, WholeNumber
from services.fraud.domain.aml_parameters import AmlParameters, AmlProposal

AmlProfile = Literal["retail", "business"]
FigureStatus = Literal["proposed", "in_force", "replaced", "superseded"]

_Hours = Annotated[int, Field(ge=1, le=168), WholeNumber]
_Count = Annotated[int, Field(ge=2, le=1000), WholeNumber]
_Parties = Annotated[int, Field(ge=1, le=1000), WholeNumber]
_PerCent = Annotated[int, Field(ge=1, le=100), WholeNumber]


class AmlFiguresBody(StrictModel):
    """All figures of a profile. Without a threshold, senders or floor (null) that pattern is not looked for."""

    structuring_threshold_minor: AmountMinor | None
    structuring_near_per_cent: Annotated[int, Field(ge=1, le=99), WholeNumber]
    structuring_short_hours: _Hours
    structuring_short_count: _Count
    structuring_long_hours: _Hours
    structuring_long_count: _Count
    structuring_across_receivers: bool
    fan_in_senders: _Count | None
    fan_in_new_per_cent: Annotated[int, Field(ge=0, le=100), WholeNumber]
    fan_in_hours: _Hours
    fan_in_floor_minor: Annotated[int, Field(ge=0, le=2**53 - 1), WholeNumber]
    """0 counts senders alone. The database always took it, so figures put there by SQL have to be shown."""
    pass_through_floor_minor: AmountMinor | None
    pass_through_hours: _Hours
    pass_through_out_per_cent: _PerCent
    pass_through_out_per_cent_max: Annotated[int, Field(ge=1, le=1000), WholeNumber]
    pass_through_parties_max: _Parties | None

    def parameters(self) -> AmlParameters:
        """Return the figures, without a version."""
        return AmlParameters(version=0, **self.model_dump())

    @classmethod
    def of(cls, parameters: AmlParameters) -> Self:
        """Return these figures."""
        return cls(**{name: value for name, value in asdict(parameters).items() if name != "version"})


class AmlProposalBody(StrictModel):
    """Figures for a profile, and why."""

    figures: AmlFiguresBody
    reason: ShortText


class AmlApprovalBody(StrictModel):
    """Why figures come into force."""

    reason: ShortText


class AmlProposalAnswer(BaseModel):
    """Figures of a profile as they were proposed; the approval is null until there is one."""

    profile: str
    version: int
    status: FigureStatus
    figures: AmlFiguresBody
    reason: str
    proposed_by: str
    proposed_at: str
    approved_by: str | None
    approved_at: str | None

    @classmethod
    def of(cls, proposal: AmlProposal, *, version_in_force: int) -> Self:
        """Return the answer about these."""
        return cls(
            profile=proposal.profile,
            version=proposal.parameters.version,
            status=_status_of(proposal, version_in_force),
            figures=AmlFiguresBody.of(proposal.parameters),
            reason=proposal.reason,
            proposed_by=proposal.proposed_by,
            proposed_at=to_rfc3339(proposal.proposed_at),
            approved_by=proposal.approved_by,
            approved_at=None if proposal.approved_at is None else to_rfc3339(proposal.approved_at),
        )


class AmlProposalPageAnswer(BaseModel):
    """A page of a profile's figures, newest first."""

    proposals: list[AmlProposalAnswer]
    next: str | None


def _status_of(proposal: AmlProposal, version_in_force: int) -> FigureStatus:
    if proposal.parameters.version == version_in_force:
        return "in_force"
    if proposal.approved_at is not None:
        return "replaced"
    return "superseded" if proposal.parameters.version < version_in_force else "proposed"
