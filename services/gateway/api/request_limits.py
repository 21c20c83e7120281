"""Counts whatever the application answers, before it is looked at: log-ins, registrations, changes, reads.

Money requests count themselves, because replays of them are given back (`money_requests.py`, `command_requests.py`);
those of nobody are counted here, since the gate refuses them before they could, and so are those of somebody that are
refused, by the gate or because what he names is not there.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from limits import RateLimitItemPerMinute
from starlette.requests import Request
from starlette.types import Scope

from libs.common.errors import Forbidden, Unauthenticated
from libs.common.http.auth import Principal
from libs.common.http.client_address import neighbourhood_of
from libs.common.http.gate import note_principal
from services.gateway.api.rate_limits import Limits, RateLimits

_READS: Final = frozenset({"GET", "HEAD"})
_API: Final = "/api/"
_AUTH: Final = ("/api/v1/auth/", "/api/v1/me/email")
_DOCUMENTS: Final = ("/openapi.json", "/docs", "/errors")
_COUNT_THEMSELVES: Final = re.compile(
    r"/api/v1/(accounts/[^/]*/close|transfers/[^/]*/(capture|void|reversals)|batches"
    r"|admin/(accounts/[^/]*/(status|limits)|fee-schedules))"
)


class RequestLimits:
    """Lets a request in, or raises TooManyRequests, or Unavailable limits_unavailable."""

    def __init__(self, limits: RateLimits, identify: Callable[[str | None, str], Awaitable[Principal]]) -> None:
        """Count by `limits`; `identify` says whom a header names, and who names nobody counts by his address."""
        self._limits = limits
        self._identify = identify
        self._by_path = {
            "/api/v1/auth/login": limits.logins,
            "/api/v1/auth/password-reset": limits.registrations,
            "/api/v1/auth/verify-email/resend": limits.registrations,
            "/api/v1/users": limits.registrations,
            "/api/v1/accounts": limits.openings,
        }

    async def __call__(self, scope: Scope) -> None:
        """Count one request; its answer will say where the caller stands."""
        limit, counts_itself = self._limit_of(scope["method"], scope["path"])
        if limit is None:
            return
        address = scope["client"][0] if scope["client"] else "unknown"
        # By identity: two limits of as many requests are equal to the library.
        is_anonymous = limit is self._limits.logins or limit is self._limits.registrations
        principal = None if is_anonymous else await self._principal_of(scope, address)
        if principal is not None:
            note_principal(scope["asker"], principal)
        counted = self._counted(limit, principal, address)
        if not counted:
            return
        if principal is not None and counts_itself:
            scope["count_refusal"] = self._counting(scope, counted)
        else:
            scope["answer_headers"] = await self._limits.take(counted)

    def _counting(self, scope: Scope, counted: Limits) -> Callable[[], Awaitable[None]]:
        """Return what counts a request once it is refused."""

        async def count() -> None:
            scope["answer_headers"] = await self._limits.take(counted)

        return count

    def _counted(self, limit: RateLimitItemPerMinute, principal: Principal | None, address: str) -> Limits:
        """Return whose request it is: nobody's counts by the address, a machine's not at all.

        Where it matters who somebody is, each counts by the address, too: most of these routes ask for no credential,
        so sending one along, or many, must not let anybody try more often.
        """
        if limit is self._limits.auth:
            by_address = (self._limits.auth_by_address, neighbourhood_of(address))
            return [by_address] if principal is None else [by_address, (limit, principal.user_id)]
        if principal is None:
            return [(limit, neighbourhood_of(address))]
        return [] if principal.is_machine else [(limit, principal.user_id)]

    def _limit_of(self, method: str, path: str) -> tuple[RateLimitItemPerMinute | None, bool]:
        """Return which limit holds, None for probes, preflights and what sisters ask, and whether for nobody alone."""
        if not path.startswith(_API):
            return (self._limits.reads if path.startswith(_DOCUMENTS) else None), False
        if method in _READS:
            return self._limits.reads, False
        if method == "OPTIONS":
            return None, False
        if _COUNT_THEMSELVES.fullmatch(path):
            return self._limits.changes, True
        return self._by_path.get(path, self._limits.auth if path.startswith(_AUTH) else self._limits.changes), False

    async def _principal_of(self, scope: Scope, address: str) -> Principal | None:
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if authorization is None:
            return None
        try:
            return await self._identify(authorization.decode("latin-1"), address)
        except (Unauthenticated, Forbidden):
            return None


def address_of(request: Request) -> str:
    """Return where the request comes from, as the edge found out."""
    return request.client.host if request.client else "unknown"
