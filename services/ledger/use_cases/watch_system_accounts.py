"""Which assets the ledger keeps, and whether the accounts of the house are there: without them deposits are refused."""

import structlog

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.money import know_asset
from services.ledger.domain.system_accounts import system_accounts_of
from services.ledger.store.accounts import load_accounts
from services.ledger.store.assets import load_assets

log = structlog.get_logger()


class WatchSystemAccounts:
    """Looks when told, takes new assets in, and says what it saw last to whoever asks for readiness."""

    def __init__(self, hot: HotConnection) -> None:
        """Nothing has been seen yet, so nothing is ready."""
        self._hot = hot
        self._trouble: str | None = "the accounts of the house have not been looked for yet"

    async def look(self) -> None:
        """Look now."""
        try:
            async with self._hot.autocommit() as connection:
                assets = await load_assets(connection)
                wanted = [account for asset in assets for account in system_accounts_of(asset.code)]
                found = await load_accounts(connection, [account.account_id for account in wanted])
        except Unavailable as failure:
            trouble = f"the database cannot be asked ({failure.code})"
            if trouble != self._trouble:
                log.warning("system_accounts_not_looked_for", code=failure.code)
            self._trouble = trouble
            return
        missing = [
            f"{account.account_number} {account.asset}"
            for account in wanted
            if account.account_id not in found or found[account.account_id].status != "active"
        ]
        self._say(f"missing or not active: {', '.join(missing)}; run `tallystick migrate`" if missing else None)
        for asset in assets:
            know_asset(asset.code, asset.exponent)

    def trouble(self) -> str | None:
        """Say what is missing and which command brings it back."""
        return self._trouble

    def _say(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            log.error("system_account_missing", trouble=trouble)
        self._trouble = trouble
