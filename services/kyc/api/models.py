"""What customers send and are answered."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from libs.common.clock import to_rfc3339
from libs.common.http.models import NameText, StrictModel, WholeNumber
from services.kyc.domain.verification import (
    APPLICATION_TIER,
    TIER_MAX,
    Application,
    NextAction,
    Phase,
    ToldStatus,
    told_status,
)
from services.kyc.views.verification_status import VerificationStatus

# ASCII digits alone: `\d` would let other scripts' digits pass.
DateText = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class ApplicationBody(StrictModel):
    """Who the customer is: full name, date of birth `YYYY-MM-DD`, country of residence (ISO 3166-1 alpha-2)."""

    full_name: NameText
    birth_date: DateText
    country: CountryCode


class TierBody(StrictModel):
    """The tier that is asked for, above the one the customer has."""

    tier: Annotated[int, Field(ge=APPLICATION_TIER + 1, le=TIER_MAX), WholeNumber]


class ApplicationAnswer(BaseModel):
    """What a customer said of himself."""

    full_name: Annotated[str, Field(description="As it was written.")]
    birth_date: Annotated[str, Field(description="`YYYY-MM-DD`.")]
    country: Annotated[str, Field(description="Country of residence, ISO 3166-1 alpha-2.")]

    @classmethod
    def of(cls, application: Application) -> "ApplicationAnswer":
        """Return the answer about this application."""
        return cls(
            full_name=application.full_name,
            birth_date=application.birth_date.isoformat(),
            country=application.country,
        )


class StatusAnswer(BaseModel):
    """Where a verification stands. `since` is RFC 3339 UTC, null for somebody who never applied."""

    status: ToldStatus
    tier: int
    requested_tier: int | None
    phase: Phase
    next_action: NextAction
    needs: list[str]
    rejection_code: str | None
    can_retry: bool
    retry_at: str | None
    since: str | None
    version: int

    @classmethod
    def of(cls, status: VerificationStatus) -> "StatusAnswer":
        """Return the answer about this status."""
        return cls(
            status=told_status(status.state.status),
            tier=status.state.tier,
            requested_tier=status.state.requested_tier or None,
            phase=status.phase,
            next_action=status.next_action,
            needs=list(status.needs),
            rejection_code=status.rejection_code or None,
            can_retry=status.can_retry,
            retry_at=to_rfc3339(status.retry_at) if status.retry_at else None,
            since=to_rfc3339(status.since) if status.since else None,
            version=status.state.version,
        )
