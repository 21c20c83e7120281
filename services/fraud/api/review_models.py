"""Bodies and answers of reviews."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from libs.common.http.models import PRINTABLE_SCHEMA, IdText, Printable, ShortText, StrictModel
from services.fraud.domain.reviews import Decided, Refused, ReviewStatus
from services.fraud.use_cases.decide_reviews import REVIEWS_MAX
from services.fraud.views.show_reviews import QueuedReview

CommentText = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), Printable, Field(json_schema_extra=PRINTABLE_SCHEMA)
]
_Ids = Annotated[list[IdText], Field(min_length=1, max_length=REVIEWS_MAX)]


class CommentBody(StrictModel):
    """What a reviewer says to his colleagues."""

    text: CommentText


class ReviewApprovalBody(StrictModel):
    """Why it is approved, if there is something to say; for colleagues alone."""

    reason: ShortText | None = None


class ReviewRejectionBody(StrictModel):
    """Why it is rejected; for colleagues alone. The customer learns that it is not permitted, no more."""

    reason: ShortText


class ApproveManyBody(ReviewApprovalBody):
    """Reviews to approve, with one reason for all."""

    transfer_ids: _Ids


class RejectManyBody(ReviewRejectionBody):
    """Reviews to reject, with one reason for all."""

    transfer_ids: _Ids


class ReviewDecisionAnswer(BaseModel):
    """What a decision did.

    A review that is still `open` waits for a second person. `remaining` is what the transfer waits for besides.
    `code` is empty for what goes on; an approval that comes when the payer's limits forbid the transfer by now names
    the limit, and the money goes back.
    """

    transfer_id: str
    review_status: ReviewStatus
    remaining: list[str]
    code: str

    @classmethod
    def of(cls, decided: Decided) -> "ReviewDecisionAnswer":
        """Return the answer about this one."""
        return cls(
            transfer_id=decided.transfer_id,
            review_status=decided.review_status,
            remaining=list(decided.remaining),
            code=decided.code,
        )


class BulkResult(BaseModel):
    """What became of one of many: `done`, or null and why not, as it alone would have been told."""

    transfer_id: str
    done: ReviewDecisionAnswer | None
    code: str
    detail: str

    @classmethod
    def of(cls, result: Decided | Refused) -> "BulkResult":
        """Return the answer about this one."""
        if isinstance(result, Refused):
            return cls(transfer_id=result.transfer_id, done=None, code=result.code, detail=result.detail)
        return cls(transfer_id=result.transfer_id, done=ReviewDecisionAnswer.of(result), code="", detail="")


class BulkAnswer(BaseModel):
    """What became of each, in the order they were named."""

    results: list[BulkResult]

    @classmethod
    def of(cls, results: Sequence[Decided | Refused]) -> "BulkAnswer":
        """Return the answer about all."""
        return cls(results=[BulkResult.of(result) for result in results])


class ReviewList(BaseModel):
    """A page of the queue, the longest due first; `next` is the cursor of the page after it, null on the last."""

    reviews: list[QueuedReview]
    next: str | None
