"""Open accounts in the books when asked, and say so, as often as asked."""

from collections.abc import Callable, Mapping, Sequence

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unprocessable
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.money import ASSET_EXPONENTS
from services.ledger.messages import account_opened
from services.ledger.store.openings import KnownAccount, write_openings


class OpenAccounts:
    """Opens customers' accounts. What becomes of them later is decided by commands, through the writer.

    Idempotent by: account_id; an account that is already there is said to be open again. Locks: none.
    Emits: LedgerAccountOpened for each account asked for. Raises: Unprocessable; Conflict; Unavailable.
    """

    def __init__(
        self, *, hot: HotConnection, outbox: Outbox, clock: Clock, forget_account: Callable[[str], None]
    ) -> None:
        """`forget_account` makes the writer read an account again."""
        self._hot = hot
        self._outbox = outbox
        self._clock = clock
        self._forget_account = forget_account

    async def __call__(self, changes: Sequence[AccountChanged]) -> None:
        """Take each account's newest state; earlier ones of the same batch say nothing more."""
        newest = {change.account_id: change for change in sorted(changes, key=lambda change: change.version)}
        for change in newest.values():
            if change.asset not in ASSET_EXPONENTS:
                raise Unprocessable("asset_unknown", "The ledger does not keep this asset.", asset=change.asset)
        row = await write_openings(
            self._hot, self._outbox, list(newest.values()), self._clock(), lambda known: _openings(newest, known)
        )
        for account_id in newest:
            self._forget_account(account_id)
        await self._outbox.publish(row)


def _openings(newest: Mapping[str, AccountChanged], known: Mapping[str, KnownAccount]) -> list[Outgoing]:
    opened = []
    for change in newest.values():
        account = known[change.account_id]
        if (account.owner_id, account.asset) != (change.owner_id, change.asset):
            raise Conflict(
                "account_identity_differs",
                "An account keeps its owner and asset for life.",
                account_id=change.account_id,
            )
        if account.status != "closed":
            opened.append(
                account_opened(account.account_id, account.owner_id, account.asset, to_rfc3339(account.opened_at))
            )
    return opened
