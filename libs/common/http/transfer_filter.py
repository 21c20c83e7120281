"""The query of `GET /api/v1/transfers`, which the gateway takes and the ledger answers."""

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from libs.common.errors import Unprocessable
from libs.common.http.cursors import CURSOR_CHARACTERS
from libs.common.http.models import IdText
from libs.common.http.moments import Moment, require_period
from libs.common.money import MAX_AMOUNT_MINOR

_PAGE: Final = 50
_PAGE_MAX: Final = 200
_AmountMinor = Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]


class TransferFilter(BaseModel):
    """Which transfers, and which page of them."""

    model_config = ConfigDict(frozen=True)

    account_id: IdText | None = Field(None, description="of this account")
    status: Literal["posted", "held", "refused", "blocked", "voided"] | None = Field(
        None, description="in this state now"
    )
    begins_at: Moment | None = Field(None, alias="from", description="at this moment or later")
    ends_before: Moment | None = Field(None, alias="to", description="before this moment")
    min_amount_minor: _AmountMinor = Field(1, description="a leg moves this or more")
    max_amount_minor: _AmountMinor = Field(MAX_AMOUNT_MINOR, description="that leg moves this or less")
    limit: int = Field(_PAGE, ge=1, le=_PAGE_MAX, description="transfers in one answer")
    cursor: str | None = Field(None, max_length=CURSOR_CHARACTERS, description="`next` or `prev` of another page")

    def require_possible(self) -> None:
        """Let pass what a transfer can fit, by amount and moment. Raises: Unprocessable conflicting_parameters."""
        require_period(self.begins_at, self.ends_before)
        if self.min_amount_minor > self.max_amount_minor:
            raise Unprocessable("conflicting_parameters", "min_amount_minor is above max_amount_minor.")


TransferFilterQuery = Annotated[TransferFilter, Query()]
"""The filter as a route's parameter."""
