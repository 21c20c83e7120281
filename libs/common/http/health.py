"""Liveness: the loop turns. Readiness: every check is content; one that is not says which command mends it."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import JSONResponse

Check = Callable[[], str | None]
"""Returns what is wrong in one sentence, or None."""


class Health:
    """The checks of one process. They read memory only: a probe must not wait for what it asks about."""

    def __init__(self) -> None:
        """Begin without checks."""
        self._checks: dict[str, Check] = {}
        self.is_leaving = False
        """Whether the process was told to stop."""

    def add(self, name: str, check: Check) -> None:
        """Register a check under a dotted name such as `ledger.reserve`."""
        self._checks[name] = check

    def leave(self) -> None:
        """Say not ready from now on, whatever else is well: whoever sends requests here is to send them elsewhere."""
        self.is_leaving = True

    def problems(self) -> dict[str, str]:
        """Return name → what is wrong, empty when ready."""
        if self.is_leaving:
            return {"process": "it was told to stop, and answers only what still comes"}
        found = {name: check() for name, check in self._checks.items()}
        return {name: problem for name, problem in found.items() if problem is not None}

    def router(self) -> APIRouter:
        """Return the two probe routes."""
        router = APIRouter(prefix="/health", tags=["health"])

        @router.get("/live", summary="Is the process alive?")
        async def live() -> dict[str, str]:
            """Return that the process answers, whatever else may be wrong: if not, start it again."""
            return {"status": "live"}

        @router.get("/ready", summary="Can it do its work?", responses={503: {"description": "Not ready; says why."}})
        async def ready() -> JSONResponse:
            """Return whether the process has all it needs; until then, send it nothing."""
            problems = self.problems()
            if problems:
                return JSONResponse({"status": "not_ready", "problems": problems}, status_code=503)
            return JSONResponse({"status": "ready"})

        return router
