"""A transfer through the whole stack that fraud holds for a review, whatever rules are live."""

import asyncio
from collections.abc import Sequence

import msgspec

from libs.common.clock import system_clock
from libs.common.contracts.fraud import HoldReason
from libs.common.contracts.transfers import TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.unit_of_work import UnitOfWork
from tests.e2e.api_client import Api, Person, new_key, stopped, transfer, wait_until
from tests.support.api_world import RecordingPublisher, admin_connection
from tests.support.held_transfers import keep_held


def pay_held(
    api: Api, payer: Person, payee: Person, amount_minor: int, reasons: Sequence[HoldReason] = ("review",)
) -> str:
    """Send money and return the transfer's id once it is held.

    Fraud stands still while the decision is kept that it then finds, as after a crash, and sends.
    """
    with stopped(api, "fraud"):
        body = transfer(payer, payee, amount_minor)
        sent = api.post("/transfers", body, token=payer.token, key=new_key(), prefer="respond-async")
        assert (sent.status_code, sent.json()["status"]) == (202, "accepted"), sent.text
        transfer_id = str(sent.json()["transfer_id"])
        asyncio.run(_decide(api.dsn, transfer_id, reasons))
    wait_until("the hold", lambda: api.get(f"/transfers/{transfer_id}", payer.token).json()["status"] == "held")
    return transfer_id


async def _decide(dsn: str, transfer_id: str, reasons: Sequence[HoldReason]) -> None:
    async with admin_connection(dsn) as connection:
        asked = await connection.fetchval("SELECT command FROM gateway.transfers WHERE transfer_id = $1", transfer_id)
    command = msgspec.json.decode(asked, type=TransferCommand)
    hot = HotConnection(dsn, "held-for-review")
    outbox = Outbox("fraud", RecordingPublisher(), hot)
    try:
        await keep_held(UnitOfWork(hot, outbox), PayerCache(), command, reasons, system_clock())
    finally:
        await outbox.stop()
        await hot.close()
