"""Reconciliations for auditors: what the last ones found, and a new one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from libs.common.clock import to_rfc3339
from libs.common.errors import NotFound
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.ids import is_id
from services.ledger.use_cases.run_reconciliations import RunReconciliations
from services.ledger.views.reconciliations import ReconciliationView

_READING: Final = (permitted("reconciliation.run"),)

_PAGE: Final = 20
_PAGE_MAX: Final = 100


class RunAnswer(BaseModel):
    """A run. `verdict` is null while it has no result; `incomplete` says that a service could not be asked."""

    run_id: str
    scope: str
    cause: str
    asked_by: str | None
    began_at: str
    ended_at: str | None
    verdict: str | None
    differences: int | None


class RunWithReport(RunAnswer):
    """A run with all it found: balances by asset and type, and each check with up to 100 differences."""

    report: dict[str, Any] | None


class RunsAnswer(BaseModel):
    """The newest runs, newest first."""

    runs: list[RunAnswer]


class StartedAnswer(BaseModel):
    """A run that has begun."""

    run_id: str


def reconciliation_router(runs: ReconciliationView, run_reconciliations: RunReconciliations) -> APIRouter:
    """Return the routes about reconciliations."""
    router = APIRouter(prefix="/api/v1/admin/reconciliation", tags=["audit"])

    @router.get("", summary="List the last reconciliations", dependencies=_READING, responses=refusals("role_required"))
    async def get_runs(limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE) -> RunsAnswer:
        """Return the newest runs: each start's sample, each night's, and those that were asked for."""
        return RunsAnswer(runs=[RunAnswer(**_fields(run)) for run in await runs.last(limit)])

    @router.post(
        "",
        status_code=202,
        summary="Start a reconciliation",
        responses=refusals("role_required", "reconciliation_running"),
    )
    async def post_run(
        principal: Annotated[Principal, permitted("reconciliation.run")], request: Request
    ) -> StartedAnswer:
        """Compare everything, in the background. One runs at a time; its result stays for ever."""
        run_id = await run_reconciliations.ask(principal.user_id)
        asker_of(request).concerns("reconciliation", run_id)
        return StartedAnswer(run_id=run_id)

    @router.get(
        "/{run_id}",
        summary="See what a reconciliation found",
        dependencies=_READING,
        responses=refusals("role_required", "reconciliation_not_found"),
    )
    async def get_run(run_id: str) -> RunWithReport:
        """Return one run with its report."""
        found = await runs.one(run_id) if is_id(run_id) else None
        if found is None:
            raise NotFound("reconciliation_not_found", "There is no such reconciliation.")
        run, report = found
        return RunWithReport(**_fields(run), report=report)

    return router


def _fields(run: Any) -> dict[str, Any]:
    fields: dict[str, Any] = run._asdict()
    for name in ("began_at", "ended_at"):
        fields[name] = None if fields[name] is None else to_rfc3339(fields[name])
    return fields
