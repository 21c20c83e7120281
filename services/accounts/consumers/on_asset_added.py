"""The ledger keeps an asset: from the tip, in every process, because each checks requests by it."""

from collections.abc import Sequence

import msgspec
import structlog

from libs.common.contracts.ledger import AssetAdded
from libs.common.messaging.batched_record import UNREADABLE
from libs.common.messaging.records import Glimpse
from libs.common.money import know_asset

log = structlog.get_logger()

_decode = msgspec.json.Decoder(AssetAdded).decode


def on_asset_added(glimpses: Sequence[Glimpse]) -> None:
    """Take the assets in. What cannot be read, or be an asset, is passed over: it is said again."""
    for key, payload in glimpses:
        try:
            message = _decode(payload)
            know_asset(message.code, message.exponent)
        except (*UNREADABLE, ValueError) as failure:
            log.warning("asset_not_understood", key=key, cause=str(failure))
