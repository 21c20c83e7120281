"""Tell everybody which assets the ledger keeps, again and again: who has just started knows only the first ones."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.ledger import AssetAdded
from libs.common.contracts.topics import ASSETS
from libs.common.db.hot import HotConnection
from libs.common.messaging.outgoing_message import outgoing
from libs.common.money import FIRST_ASSETS
from services.ledger.store.assets import load_assets
from services.ledger.use_cases.publish_outcomes import Sender

_SETTLED: Final = timedelta(seconds=6)
"""By then every process of the ledger has read the table: nobody asks it for what it does not know yet."""


class PublishAssets:
    """Publishes from the table alone. Hearers keep what they do not know; it never changes."""

    def __init__(self, hot: HotConnection, sender: Sender, clock: Clock) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._sender = sender
        self._clock = clock

    async def __call__(self) -> None:
        """Tell of all assets that not everybody knows from birth. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            assets = await load_assets(connection)
        now = self._clock()
        messages = [
            outgoing(
                ASSETS,
                asset.code,
                AssetAdded(code=asset.code, exponent=asset.exponent, occurred_at=to_rfc3339(asset.added_at)),
                message_id=f"ledger-asset-{asset.code}",
            )
            for asset in assets
            if asset.code not in FIRST_ASSETS and asset.added_at < now - _SETTLED
        ]
        if messages:
            await (await self._sender.send(messages))
