"""Whether the accounts of the house are there: without them deposits would be refused one by one."""

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.domain.system_accounts import SYSTEM_ACCOUNTS
from services.ledger.store.accounts import load_accounts


class WatchSystemAccounts:
    """Looks when told, and says what it saw last to whoever asks for readiness."""

    def __init__(self, hot: HotConnection) -> None:
        """Nothing has been seen yet, so nothing is ready."""
        self._hot = hot
        self._trouble: str | None = "the accounts of the house have not been looked for yet"

    async def look(self) -> None:
        """Look now."""
        wanted = {account.account_id: account for account in SYSTEM_ACCOUNTS}
        try:
            async with self._hot.autocommit() as connection:
                found = await load_accounts(connection, list(wanted))
        except Unavailable as failure:
            self._trouble = f"the database cannot be asked ({failure.code})"
            return
        missing = [
            f"{account.account_number} {account.asset}"
            for account in SYSTEM_ACCOUNTS
            if account.account_id not in found or found[account.account_id].status != "active"
        ]
        self._trouble = f"missing or not active: {', '.join(missing)}; run `tallystick migrate`" if missing else None

    def trouble(self) -> str | None:
        """Say what is missing and which command brings it back."""
        return self._trouble
