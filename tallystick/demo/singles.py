"""A few single transfers: one customer who reaches his hourly limit, one who pays on, one who has too little."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from libs.common.ids import new_id
from tallystick.demo.api import Answer, Api
from tallystick.demo.customers import ASSET, Cast, Customer
from tallystick.demo.expectations import HOURLY_LIMIT

RETAIL_SINGLES: Final = 5
"""More would meet the limit of ten money requests a minute before that of fifty transfers an hour."""
RETAIL_BATCH: Final = HOURLY_LIMIT - RETAIL_SINGLES
RETAIL_MINOR: Final = 12_34
GIFT_MINOR: Final = 99_95
TOO_MUCH_MINOR: Final = 999_999_99


@dataclass(frozen=True, slots=True)
class Order:
    """Who pays whom how much, and the key under which it is asked for."""

    payer: Customer
    payee: Customer
    amount_minor: int
    key: str

    def body(self) -> dict[str, object]:
        """Return the transfer as the API wants it."""
        return {
            "source_account_id": self.payer.account_id,
            "destination_account_id": self.payee.account_id,
            "amount_minor": self.amount_minor,
            "asset": ASSET,
        }


@dataclass(frozen=True, slots=True)
class Single:
    """An order and what became of it: the transfer's document, or the problem document of a no."""

    order: Order
    status: str
    said: Mapping[str, Any]

    @property
    def transfer_id(self) -> str:
        """Return the transfer's id, which a block and a refusal have too."""
        return str(self.said["transfer_id"])


@dataclass(frozen=True, slots=True)
class Singles:
    """What came of them. `first` is the whole answer to the retail customer's first transfer."""

    first: Answer
    retail: list[Single]
    over_limit: Single
    gift: Single
    too_much: Single

    @property
    def everything(self) -> list[Single]:
        """Return all of them."""
        return [*self.retail, self.over_limit, self.gift, self.too_much]


async def pay_singles(api: Api, cast: Cast) -> Singles:
    """Send them one after the other, and most of the retail customer's in one batch. Raises: DemoFailed."""
    employees = cast.employees
    orders = [Order(cast.retail, employees["employee-01"], RETAIL_MINOR, new_id()) for _ in range(HOURLY_LIMIT + 1)]
    first, *others = [await _single(api, order) for order in orders[:RETAIL_SINGLES]]
    batch = await _send_batch(api, orders[RETAIL_SINGLES:HOURLY_LIMIT])
    over_limit = await _single(api, orders[HOURLY_LIMIT])
    gift = await _single(api, Order(employees["employee-02"], employees["employee-03"], GIFT_MINOR, new_id()))
    too_much = await _single(api, Order(employees["employee-04"], employees["employee-05"], TOO_MUCH_MINOR, new_id()))
    return Singles(
        first=first[1],
        retail=[first[0], *(single for single, _ in others), *batch],
        over_limit=over_limit[0],
        gift=gift[0],
        too_much=too_much[0],
    )


async def send(api: Api, order: Order) -> Answer:
    """Ask for the transfer; the second time it is the same request again, word for word under the same key."""
    return await api.post("/transfers", order.body(), token=order.payer.token, key=order.key)


async def _single(api: Api, order: Order) -> tuple[Single, Answer]:
    answer = await send(api, order)
    said = answer.expect(201, 202, 403, 422)
    return Single(order, said.get("transfer_status") or str(said["status"]), said), answer


async def _send_batch(api: Api, orders: list[Order]) -> list[Single]:
    body = {
        "mode": "independent",
        "transfers": [{**order.body(), "idempotency_key": order.key} for order in orders],
    }
    answer = await api.post("/transfers/batch", body, token=orders[0].payer.token)
    results = answer.expect(200, 201)["results"]
    return [Single(order, result["status"], result) for order, result in zip(orders, results, strict=True)]
