"""The gate of every route: it declares an action of the permission matrix and lets in who may do it.

What only the resource can tell (whose it is) the route asks `policy.py` once it has loaded it.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from libs.common.audit.asker import Asker
from libs.common.audit.trail import AuditTrail
from libs.common.audit.what_to_note import FORWARDED
from libs.common.errors import Forbidden
from libs.common.http.auth import AskFirst, Principal, TokenVerifier
from libs.common.http.client_address import neighbourhood_of
from libs.common.http.hot import HotAnswer, HotEndpoint, HotRequest
from libs.common.http.large_bodies import MAX_BODY_BYTES
from libs.common.http.permissions import PERMISSIONS, STAFF, Permission
from libs.common.invariants import check

BY_OWNER: Final = "forwarded"
"""The action of a route that hands the request to another service, whose own gate decides."""
BY_SISTERS: Final = "internal"
"""The action of a route that only the services of this system may call, by a token of their own."""


class Verifier(Protocol):
    """What a hot endpoint's gate asks; `TokenVerifier` is one."""

    def verify(self, authorization: str | None, address: str = "") -> Principal:
        """Return who a header names. Raises: AskFirst when somebody else must be asked."""

    async def identify(self, authorization: str | None, address: str = "") -> Principal:
        """Return who a header names, and ask for it."""

    def require_fresh(self, principal: Principal) -> None:
        """Let pass who proved himself with a second factor not long ago, if that is asked for. Raises: Forbidden."""


class Gate:
    """What a route depends on to say which action it is."""

    def __init__(self, action: str) -> None:
        """Name an action of the matrix, or one of the two that other gates decide."""
        known = action in PERMISSIONS or action in {BY_OWNER, BY_SISTERS}
        check(known, "a route's action stands in the matrix", action=action)
        self.action: Final = action


class _PublicGate(Gate):
    def __call__(self, request: Request) -> None:
        """Let anybody in."""
        request.scope["asker"].action = self.action


class _PrincipalGate(Gate):
    async def __call__(self, request: Request) -> Principal:
        """Return who asks, if the matrix lets him in."""
        verifier: TokenVerifier = request.app.state.verifier
        asker: Asker = request.scope["asker"]
        asker.action = self.action
        address = request.client.host if request.client else ""
        principal = await verifier.identify(request.headers.get("authorization"), address)
        note_principal(asker, principal)
        return admit(principal, PERMISSIONS[self.action], verifier)


def permitted(action: str) -> Any:
    """Return what a route depends on to be guarded.

    As the type of its principal, `Annotated[Principal, permitted("account.read")]`; a route that need not know who
    asks, such as a public one, names it among its `dependencies`.
    """
    return Depends(_PublicGate(action) if PERMISSIONS[action].public else _PrincipalGate(action))


def note_principal(asker: Asker, principal: Principal) -> None:
    """Say in the audit log who asks."""
    asker.actor_id, asker.is_staff = principal.user_id, principal.is_staff()
    asker.staff_roles = tuple(sorted(principal.roles & STAFF))
    asker.used_key(principal.key_id)


def admit(principal: Principal, permission: Permission, verifier: Verifier) -> Principal:
    """Let in who has a role, or may turn out to be related, an API key only for what its scopes say.

    Staff who logged in must have done so with a second factor, and not long ago, for an action that asks for it.

    Raises: Forbidden `role_required`, `person_required`, `scope_required`, and what `require_fresh` does.
    """
    if principal.scopes is not None and permission.scope not in principal.scopes:
        if permission.scope is None:
            raise Forbidden("person_required", "This is for people who logged in, not for API keys.")
        raise Forbidden("scope_required", "The API key lacks the scope for this.", scope=permission.scope)
    if not permission.related and principal.roles.isdisjoint(permission.roles):
        roles = sorted(permission.roles)
        raise Forbidden("role_required", f"This needs one of the roles: {', '.join(roles)}.", roles=roles)
    if permission.fresh and principal.scopes is None and principal.is_staff():
        verifier.require_fresh(principal)
    return principal


class GuardedEndpoint:
    """A hot endpoint behind its gate."""

    def __init__(
        self, action: str, verifier: Verifier, endpoint: HotEndpoint, *, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        """Guard the endpoint, which finds who asks in the request's `principal`.

        A body beyond what every route takes is read only of who is let in.
        """
        self.action: Final = Gate(action).action
        self._permission = PERMISSIONS[action]
        self._verifier = verifier
        self._endpoint = endpoint
        self.trail: AuditTrail | None = None
        """Where the edge notes what is refused here; set when the application is put together."""
        self.max_body_bytes: Final = max_body_bytes

    def __call__(self, request: HotRequest) -> Awaitable[HotAnswer]:
        """Let in who may. Raises: Unauthenticated, Forbidden, and what the endpoint does."""
        try:
            principal = self._verifier.verify(request.authorization, request.address)
        except AskFirst:
            return asyncio.create_task(self._ask(request))
        request.principal = admit(principal, self._permission, self._verifier)
        return self._endpoint(request)

    def let_in(self, request: HotRequest) -> str:
        """Let in whose body is still to come, as far as can be told without asking anybody, and return who it is.

        By a key that nobody has asked about, it is his address. Raises: Unauthenticated, Forbidden.
        """
        try:
            principal = self._verifier.verify(request.authorization, request.address)
        except AskFirst:
            return neighbourhood_of(request.address)
        return admit(principal, self._permission, self._verifier).user_id

    async def _ask(self, request: HotRequest) -> HotAnswer:
        """Do so for an API key, once a minute."""
        principal = await self._verifier.identify(request.authorization, request.address)
        request.principal = admit(principal, self._permission, self._verifier)
        return await self._endpoint(request)


class GuardedRoute(Route):
    """A plain Starlette route that declares its action; it needs no principal, or hands the request on."""

    def __init__(self, action: str, path: str, endpoint: Any, *, methods: list[str]) -> None:
        """Make the route."""
        super().__init__(path, endpoint, methods=methods)
        check(action == BY_OWNER or PERMISSIONS[action].public, "a plain route is public or forwarded", action=action)
        self.action: Final = action

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that came here."""
        scope["asker"].action = FORWARDED if self.action == BY_OWNER else self.action
        await super().handle(scope, receive, send)


def require_declared(routes: Iterable[BaseRoute], hot: Mapping[str, HotEndpoint]) -> None:
    """Refuse to start with a route that declares no action. Raises: InvariantBroken, naming the routes."""
    undeclared = [str(getattr(route, "path", route)) for route in routes if action_of(route) is None]
    undeclared += [path for path, endpoint in hot.items() if not isinstance(endpoint, GuardedEndpoint)]
    check(not undeclared, "every route declares an action of the permission matrix", undeclared=undeclared)


def action_of(route: BaseRoute) -> str | None:
    """Return the action a route declares, or None."""
    if isinstance(route, GuardedRoute):
        return route.action
    if not isinstance(route, APIRoute):
        return None
    return next((call.action for call in _calls_of(route.dependant) if isinstance(call, Gate)), None)


def _calls_of(dependant: Dependant) -> Iterator[object]:
    for other in dependant.dependencies:
        yield other.call
        yield from _calls_of(other)
