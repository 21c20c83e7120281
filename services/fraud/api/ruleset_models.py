"""Bodies and answers about rule sets."""

from typing import Annotated, Final, Self

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints

from libs.common.clock import to_rfc3339
from libs.common.http.models import ShortText, StrictModel
from services.fraud.domain.ruleset_life import NotedEvent, Risk, RulesetEvent, RulesetStatus, StoredRuleset
from services.fraud.domain.ruleset_yaml import BYTES_MAX

VERSION_MAX: Final = 2**31 - 1
RulesetVersion = Annotated[int, Path(ge=2, le=VERSION_MAX, description="the rule set's version")]
_Document = Annotated[
    str,
    StringConstraints(min_length=1, max_length=BYTES_MAX),
    Field(description="YAML, as docs/fraud.md describes it."),
]


class RulesetBody(StrictModel):
    """A rule set, and why it is written."""

    document: _Document
    reason: ShortText


class RulesetReasonBody(StrictModel):
    """Why a rule set is moved."""

    reason: ShortText


class RulesetAnswer(BaseModel):
    """A rule set without its text. `sha256` is hex, of the text in UTF-8; the approval is null until there is one.

    `approval_stands` until it is used, and while that set is live which was live when it was given.
    """

    version: int
    name: str
    status: RulesetStatus
    risk: Risk
    reason: str
    author: str
    created_at: str
    approved_by: str | None
    approved_at: str | None
    approval_stands: bool
    sha256: str

    @classmethod
    def of(cls, ruleset: StoredRuleset) -> Self:
        """Return the answer about this rule set."""
        return cls(
            version=ruleset.version,
            name=ruleset.name,
            status=ruleset.status,
            risk=ruleset.risk,
            reason=ruleset.reason,
            author=ruleset.author,
            created_at=to_rfc3339(ruleset.created_at),
            approved_by=ruleset.approved_by,
            approved_at=None if ruleset.approved_at is None else to_rfc3339(ruleset.approved_at),
            approval_stands=ruleset.approval_stands,
            sha256=ruleset.sha256.hex(),
        )


class RulesetEventAnswer(BaseModel):
    """One thing that happened to a rule set."""

    action: RulesetEvent
    actor: str
    reason: str
    at: str


class WholeRulesetAnswer(BaseModel):
    """A rule set with its text and its history, oldest first."""

    ruleset: RulesetAnswer
    document: str
    events: list[RulesetEventAnswer]

    @classmethod
    def of(cls, ruleset: StoredRuleset, events: list[NotedEvent]) -> Self:
        """Return the answer about this rule set."""
        return cls(
            ruleset=RulesetAnswer.of(ruleset),
            document=ruleset.document,
            events=[
                RulesetEventAnswer(action=one.action, actor=one.actor, reason=one.reason, at=to_rfc3339(one.at))
                for one in events
            ],
        )


class RulesetPageAnswer(BaseModel):
    """A page of rule sets, newest first. `next` asks for older ones; null: there are none."""

    rulesets: list[RulesetAnswer]
    next: str | None
