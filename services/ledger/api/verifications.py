"""Verification, findings and their release, for auditors and administrators."""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from libs.common.errors import NotFound
from libs.common.http.app import asker_of
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.ids import is_id
from services.ledger.use_cases.release_finding import REASON_MAX, ReleaseFinding
from services.ledger.use_cases.verify_on_request import Running, VerifyOnRequest
from services.ledger.views.findings import FindingsView

_VERIFYING: Final = (permitted("ledger.verify"),)

_WAIT_SECONDS: Final = 5.0
_Id = Annotated[str, Path(max_length=36)]


class VerifyRequest(BaseModel):
    """What to verify: everything, or what is new since the last signed verification."""

    scope: Literal["full", "incremental"] = "full"


class VerificationAnswer(BaseModel):
    """How far a verification is and what it found. `verified` is null until it has ended, or when it could not check.

    Each finding has a kind, the table and row, the record and accounts concerned, stored and computed hash, the
    differing fields with both values, and what to do.
    """

    verification_id: str
    state: Literal["running", "finished", "failed"]
    scope: str
    verified: bool | None
    done: int
    total: int
    records_per_second: int
    reason: str
    result: dict[str, Any] | None


class FindingAnswer(BaseModel):
    """A finding that nobody has released."""

    finding_id: str
    found_at: str
    finding: dict[str, Any]


class FindingsAnswer(BaseModel):
    """Whether the shard is halted, and why."""

    halted: bool
    findings: list[FindingAnswer]


class ReleaseRequest(BaseModel):
    """Which finding the ledger shall go on in spite of, and why."""

    finding_id: str = Field(max_length=36)
    reason: str = Field(max_length=REASON_MAX)


class ReleaseAnswer(BaseModel):
    """How many findings still halt the shard; at 0 it goes on."""

    open_findings: int


def verifications_router(verify: VerifyOnRequest, findings: FindingsView, release: ReleaseFinding) -> APIRouter:
    """Return the staff routes about verification."""
    router = APIRouter(prefix="/api/v1/admin/ledger", tags=["verification"])
    statuses: dict[int | str, dict[str, Any]] = {202: {"description": "It goes on; ask for it by its id."}}

    @router.post(
        "/verify",
        summary="Verify the ledger",
        dependencies=_VERIFYING,
        responses=statuses | refusals("verification_running"),
    )
    async def verify_ledger(body: VerifyRequest, request: Request, response: Response) -> VerificationAnswer:
        """Verify in the background; a short one is answered at once."""
        running = await verify.start(body.scope, "", wait_seconds=_WAIT_SECONDS)
        asker_of(request).concerns("verification", running.verification_id)
        return _answer(running, response)

    @router.post(
        "/verify/{account_id}",
        summary="Verify one account",
        dependencies=_VERIFYING,
        responses=statuses | refusals("account_not_found"),
    )
    async def verify_account(account_id: _Id, response: Response) -> VerificationAnswer:
        """Verify an account's entries against their records, and what it holds."""
        if not is_id(account_id):
            raise NotFound("account_not_found", "There is no such account, or it is not yours.")
        return _answer(await verify.start("account", account_id, wait_seconds=_WAIT_SECONDS), response)

    @router.get(
        "/verifications/{verification_id}",
        summary="See how a verification goes",
        dependencies=_VERIFYING,
        responses=statuses | refusals("verification_not_found"),
    )
    async def get_verification(verification_id: _Id, response: Response) -> VerificationAnswer:
        """Return how far it is and, once it has ended, what it found."""
        return _answer(verify.look(verification_id), response)

    @router.get("/findings", summary="List what halts the ledger", dependencies=_VERIFYING)
    async def get_findings() -> FindingsAnswer:
        """Return the findings that nobody has released."""
        halted, found = await findings.open()
        return FindingsAnswer(
            halted=halted,
            findings=[
                FindingAnswer(finding_id=one.finding_id, found_at=one.found_at, finding=one.document) for one in found
            ],
        )

    @router.post(
        "/release",
        summary="Let the ledger go on in spite of a finding",
        dependencies=(permitted("ledger.release"),),
        responses=refusals("finding_not_found", "ledger_not_halted", "reason_missing"),
    )
    async def release_finding(body: ReleaseRequest, request: Request) -> ReleaseAnswer:
        """Release one finding; the journal keeps who did and a commitment to the reason."""
        if not is_id(body.finding_id):
            raise NotFound("finding_not_found", "There is no such finding, or it was released before.")
        open_findings = await release(body.finding_id, asker=asker_of(request), reason=body.reason)
        return ReleaseAnswer(open_findings=open_findings)

    return router


def _answer(running: Running, response: Response) -> VerificationAnswer:
    found = running.found
    if running.state == "running":
        response.status_code = 202
    return VerificationAnswer(
        verification_id=running.verification_id,
        state=running.state,
        scope=running.scope,
        verified=None if found is None else found.is_good,
        done=running.done,
        total=running.total,
        records_per_second=0 if found is None else found.records_per_second,
        reason=running.reason,
        result=None if found is None else msgspec.to_builtins(found),
    )
