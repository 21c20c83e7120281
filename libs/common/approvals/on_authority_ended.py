"""Hears `CredentialsRevoked`: whose authority has ended."""

from collections.abc import Sequence

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.messaging.records import Received


class OnAuthorityEnded:
    """Hands a batch of `accounts.credentials.v1` on."""

    def __init__(self, void_approvals: VoidApprovals) -> None:
        """Take the use case."""
        self._void_approvals = void_approvals

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take the batch in one unit of work. Raises: Unavailable."""
        await self._void_approvals(
            [received.message for received in batch if isinstance(received.message, CredentialsRevoked)]
        )
