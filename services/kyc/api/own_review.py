"""Nobody reviews himself."""

from libs.common.http.auth import Principal
from libs.common.http.policy import require_not_self


def require_other(principal: Principal, user_id: str) -> None:
    """Let pass who reviews somebody else. Raises: Forbidden `own_review`."""
    require_not_self(principal, user_id, "own_review", "Nobody reviews himself; ask a colleague.")
