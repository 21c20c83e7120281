"""Bodies of commands about transfers and accounts, and what is answered while one is not decided."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from libs.common.http.models import AmountMinor, ShortText, StrictModel
from libs.common.money import MAX_AMOUNT_MINOR
from services.gateway.domain.requests import MAX_LEGS

LegAmounts = Annotated[
    list[Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]],
    Field(min_length=1, max_length=MAX_LEGS, description="One amount for each leg, in their order; 0 leaves one out."),
]
_SINGLE: Final = "For a transfer of one leg. Without an amount: all that is left."


class CaptureIn(StrictModel):
    """How much of a hold is posted, and whether it ends; without amounts all that is left, which ends it."""

    amount_minor: Annotated[AmountMinor | None, Field(description=_SINGLE)] = None
    amounts_minor: LegAmounts | None = None
    final: Annotated[bool, Field(description="End the hold: what is not captured is available again.")] = False


class VoidIn(StrictModel):
    """Nothing is asked but that the hold ends; the body may be left out."""


class ReversalIn(StrictModel):
    """How much is given back, and why; without amounts all that is left."""

    amount_minor: Annotated[AmountMinor | None, Field(description=_SINGLE)] = None
    amounts_minor: LegAmounts | None = None
    with_fees: Annotated[bool, Field(description="Give back the fees withheld too, in the same proportion.")] = False
    reason: Annotated[ShortText, Field(description="Kept here; the journal has a salted commitment to it.")]


class StatusIn(StrictModel):
    """What an account may do: `frozen` debits nothing, `suspended` moves nothing, `closed` must be empty."""

    status: Literal["active", "frozen", "suspended", "closed"]
    reason: ShortText


class ClosingIn(StrictModel):
    """Nothing has to be said; the body may be left out."""

    reason: Annotated[ShortText | None, Field(description="Kept here; the journal has a salted commitment to it.")] = (
        None
    )


_ONE_LIMIT_AT_LEAST: Final[JsonDict] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "integer"}}} for name in ("minimum_minor", "maximum_minor")
    ],
    "examples": [{"minimum_minor": -50_000, "reason": "An overdraft agreed on with the customer"}],
}
"""For OpenAPI: what the model's own check asks for."""


class LimitsIn(StrictModel):
    """The least (below zero: an overdraft) and the most an account may hold; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_ONE_LIMIT_AT_LEAST)
    minimum_minor: Annotated[int, Field(ge=-MAX_AMOUNT_MINOR, le=MAX_AMOUNT_MINOR)] | None = None
    maximum_minor: Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)] | None = None
    reason: ShortText

    @model_validator(mode="after")
    def _one_at_least(self) -> "LimitsIn":
        if self.minimum_minor is None and self.maximum_minor is None:
            message = "send minimum_minor, maximum_minor or both"
            raise ValueError(message)
        return self


class CommandAccepted(BaseModel):
    """A command that is durable and not decided yet; the same request with the same key asks again."""

    command_id: str
    subject_id: Annotated[str, Field(description="The transfer or the account it is about.")]
    status: Literal["accepted"] = "accepted"


class AccountStateOut(BaseModel):
    """What an account may do from the journal record at `journal_index` on."""

    account_id: str
    command_id: str
    status: str
    minimum_minor: int
    maximum_minor: int
    journal_index: int
    changed_at: str
