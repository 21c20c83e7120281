"""Who may do what to which resource: the one place where that is decided, for every route of every service."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from libs.common.errors import Forbidden, NotFound
from libs.common.http.auth import Principal
from libs.common.http.permissions import PERMISSIONS

RECENT: Final = timedelta(minutes=10)
"""How long ago somebody may have proved himself who takes his data along or changes how he proves himself."""


def require_role(principal: Principal, *roles: str) -> None:
    """Let pass who has one of the roles. Raises: Forbidden role_required."""
    if principal.roles.isdisjoint(roles):
        raise Forbidden("role_required", f"This needs one of the roles: {', '.join(roles)}.", roles=list(roles))


def require_not_self(principal: Principal, subject_id: str, code: str, detail: str) -> None:
    """Let pass who acts on somebody else. Raises: Forbidden with the code given."""
    if principal.user_id == subject_id:
        raise Forbidden(code, detail)


def require_reader(principal: Principal, owner_id: str | None, *, what: str) -> None:
    """Let the owner read, and the roles of `<what>.read` in the matrix.

    Raises: NotFound, because a stranger may not learn that it exists.
    """
    if principal.user_id != owner_id and not _has_role_for(principal, f"{what}.read"):
        raise NotFound(f"{what}_not_found", f"There is no such {what}, or it is not yours.")


def may_debit(principal_id: str, owner_id: str | None) -> bool:
    """Tell whether this user may move money out of an account of that owner: only the owner himself, never staff."""
    return owner_id is not None and principal_id == owner_id


def require_party(principal: Principal, party_ids: Collection[str], *, what: str) -> None:
    """Let the parties read, and the roles that `require_reader` knows. Raises: NotFound, as `require_reader`."""
    if principal.user_id not in party_ids:
        require_reader(principal, None, what=what)


def require_payer(principal: Principal, asker_id: str, party_ids: Collection[str | None]) -> None:
    """Let end a hold who asked for it, and operators whose money it does not move.

    Raises: Forbidden not_the_payer, own_transfer.
    """
    if principal.user_id == asker_id:
        return
    if not _has_role_for(principal, "hold.end"):
        raise Forbidden("not_the_payer", "Only who asked for the hold, or an operator, captures or voids it.")
    require_no_part(principal, party_ids)


def require_payee(principal: Principal, payee_ids: Collection[str | None], party_ids: Collection[str | None]) -> None:
    """Let give money back whose accounts all received it, and operators whose money it does not move.

    None is an account that is nobody's. Raises: Forbidden not_the_payee, own_transfer.
    """
    if set(payee_ids) == {principal.user_id}:
        return
    if not _has_role_for(principal, "transfer.reverse"):
        raise Forbidden("not_the_payee", "Only who received all of the money, or an operator, gives it back.")
    require_no_part(principal, party_ids)


def require_no_part(principal: Principal, party_ids: Collection[str | None]) -> None:
    """Let pass whose money it does not move: nobody acts as staff on his own. Raises: Forbidden own_transfer."""
    if principal.user_id in party_ids:
        raise Forbidden("own_transfer", "You take part in this transfer; ask a colleague.")


def require_recent(proved_at: float | None, now: datetime) -> None:
    """Let pass who has proved himself lately, at `proved_at` seconds since 1970. Raises: Forbidden step_up_required."""
    if proved_at is None or proved_at < (now - RECENT).timestamp():
        raise Forbidden(
            "step_up_required",
            "Prove again who you are: `POST /api/v1/auth/step-up`.",
            max_age_seconds=int(RECENT.total_seconds()),
        )


def _has_role_for(principal: Principal, action: str) -> bool:
    return not principal.roles.isdisjoint(PERMISSIONS[action].roles)
