"""The layer inside the edge that has each request written into the audit log, as `what_to_note.py` decides."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.audit.asker import Asker, bounded_user_agent
from libs.common.audit.entry import new_entry
from libs.common.audit.trail import AuditTrail
from libs.common.audit.what_to_note import (
    FORWARDED,
    NOT_ADMITTED,
    facts_of_read,
    is_kept_first,
    is_read,
    outcome_of,
    resource_of,
)
from libs.common.contracts.audit import AuditEntry, Outcome
from libs.common.errors import TallystickError, TooManyRequests, Unavailable
from libs.common.http.hot import HotRequest
from libs.common.http.permissions import PERMISSIONS
from libs.common.http.problems import error_response


class Audited:
    """Wraps the application; hot endpoints, which it never sees, say themselves what they refuse."""

    def __init__(self, app: ASGIApp, trail: AuditTrail) -> None:
        """Have it written by this trail."""
        self._app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other ASGI events pass. What staff read is answered 503 if it cannot be recorded."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        is_withheld = False

        async def send_recorded(message: Message) -> None:
            nonlocal status, is_withheld
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._is_kept_first(scope, status):
                    try:
                        await self._trail.keep(self._entry(scope, "done"))
                    except Unavailable as reason:
                        is_withheld = True
                        await error_response(reason, scope["request_id"])(scope, receive, send)
            if not is_withheld:
                await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        except TallystickError as error:
            scope["asker"].reason, status = error.code, error.http_status
            raise
        except BaseException:
            scope["asker"].reason, status = "internal_error", 500
            raise
        finally:
            outcome = self._outcome(scope, status)
            if outcome is not None and not self._is_kept_first(scope, status):
                self._trail.note(self._entry(scope, outcome))

    def note_not_admitted(self, scope: Scope, error: TooManyRequests) -> None:
        """Have it written that a request was refused before anybody looked what it was."""
        asker: Asker = scope["asker"]
        asker.action, asker.reason = NOT_ADMITTED, error.code
        asker.concerns("route", scope["path"])
        self._trail.note(self._entry(scope, "refused"))

    def _outcome(self, scope: Scope, status: int) -> Outcome | None:
        asker: Asker = scope["asker"]
        return outcome_of(asker, is_read=is_read(scope["method"]), status=status, staff_may=_staff_may(asker))

    def _is_kept_first(self, scope: Scope, status: int) -> bool:
        asker: Asker = scope["asker"]
        return is_kept_first(asker, is_read=is_read(scope["method"]), status=status, staff_may=_staff_may(asker))

    def _entry(self, scope: Scope, outcome: Outcome) -> AuditEntry:
        asker: Asker = scope["asker"]
        return new_entry(
            self._trail.service,
            asker,
            asker.action,
            at=self._trail.clock(),
            resource=_resource_of(asker, scope),
            outcome=outcome,
            reason=asker.reason,
            facts=facts_of_read(asker, scope["query_string"])
            if outcome == "done" and is_read(scope["method"])
            else None,
        )


def _resource_of(asker: Asker, scope: Scope) -> tuple[str, str]:
    if asker.action == FORWARDED:
        return "route", scope.get("route_template", "")
    return resource_of(asker, scope.get("path_params", {}), scope["query_string"])


def note_hot_refusal(trail: AuditTrail, action: str, request: HotRequest, error: TallystickError) -> None:
    """Have it written that a hot endpoint refused a request, unless it could not even be read."""
    asker = Asker(
        address=request.address,
        user_agent=bounded_user_agent(request.user_agent),
        request_id=request.request_id,
        action=action,
    )
    principal = getattr(request, "principal", None)  # not set if the gate refused it
    if principal is not None:
        asker.actor_id = principal.user_id
        asker.used_key(principal.key_id)
    asker.reason = error.code
    outcome = outcome_of(asker, is_read=False, status=error.http_status, staff_may=False)
    if outcome is not None:
        resource = ("transfer", str(error.facts.get("transfer_id", "")))
        trail.note(
            new_entry(
                trail.service, asker, action, at=trail.clock(), resource=resource, outcome=outcome, reason=error.code
            )
        )


def _staff_may(asker: Asker) -> bool:
    permission = PERMISSIONS.get(asker.action)
    return permission is not None and bool(permission.roles - {"customer"})
