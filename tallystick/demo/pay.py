"""The main job: a payroll through POST /transfers/batch, and what became of every line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from libs.common.clock import monotonic_seconds
from libs.common.ids import new_id
from tallystick.demo.api import Api, DemoFailed
from tallystick.demo.at_once import each
from tallystick.demo.customers import Customer
from tallystick.demo.payroll import PayrollLine
from tallystick.demo.progress import Advance

BATCH_LINES: Final = 100
"""A batch is one request to the rate limits; this way 1,000 lines stay well below 20 requests a minute."""
_BATCHES_AT_ONCE: Final = 4
"""An account nobody knows is waited for up to five seconds; the other batches need not wait with it."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What became of a line. `problem` is empty unless it was blocked or refused."""

    line: PayrollLine
    status: str
    transfer_id: str | None
    destination_account_id: str
    problem: Mapping[str, Any]

    @property
    def code(self) -> str:
        """Return why not, empty when it was accepted."""
        return str(self.problem.get("code", ""))


@dataclass(frozen=True, slots=True)
class PayrollRun:
    """All lines in the file's order, the requests whose form alone was refused, and how long everything took."""

    paid: list[Paid]
    batches: int
    batches_refused_whole: int
    seconds: float


class PayrollRunner:
    """Pays for one business."""

    def __init__(self, api: Api, payer: Customer, employees: Mapping[str, Customer], advance: Advance) -> None:
        """Pay from this customer's account, to the employees by their label."""
        self._api = api
        self._payer = payer
        self._advance = advance
        self._account_ids = {label: employee.account_id for label, employee in employees.items()}
        self._refused_whole = 0

    async def run(self, lines: Sequence[PayrollLine]) -> PayrollRun:
        """Pay every line each answered when it is decided. Raises: DemoFailed."""
        began = monotonic_seconds()
        batches = list(_chunks(lines))
        answered = await each(batches, self._pay_batch, at_once=_BATCHES_AT_ONCE, advance=lambda _: None)
        paid = sorted((one for batch in answered for one in batch), key=lambda one: one.line.number)
        return PayrollRun(paid, len(batches), self._refused_whole, monotonic_seconds() - began)

    async def _pay_batch(self, lines: Sequence[PayrollLine]) -> list[Paid]:
        """Send lines together. A line of impossible form spoils the request, not the others: they are sent again."""
        body = {"mode": "independent", "transfers": [self._item(line) for line in lines]}
        answer = await self._api.post("/transfers/batch", body, token=self._payer.token)
        good = [line for line in lines if line.is_sendable]
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and len(good) < len(lines):
            self._refused_whole += 1
            alone = [await self._pay_alone(line) for line in lines if not line.is_sendable]
            return [*await self._pay_batch(good), *alone]
        results = answer.expect(200, 201)["results"]
        if [result["idempotency_key"] for result in results] != [line.idempotency_key for line in lines]:
            raise DemoFailed(f"{answer.asked} answered other keys than were sent, or in another order")
        self._advance(len(lines))
        return [
            self._paid(line, result["status"], result.get("transfer_id"), result.get("problem", {}))
            for line, result in zip(lines, results, strict=True)
        ]

    async def _pay_alone(self, line: PayrollLine) -> Paid:
        answer = await self._api.post(
            "/transfers", self._transfer(line), token=self._payer.token, key=line.idempotency_key
        )
        self._advance(1)
        said = answer.json()
        is_problem = "code" in said and "type" in said
        status = said.get("transfer_status", "refused") if is_problem else said["status"]
        return self._paid(line, status, said.get("transfer_id"), said if is_problem else {})

    def _paid(self, line: PayrollLine, status: str, transfer_id: str | None, problem: Mapping[str, Any]) -> Paid:
        return Paid(line, status, transfer_id, self._account_of(line), problem)

    def _account_of(self, line: PayrollLine) -> str:
        """Return the payee's account; a label nobody bears becomes an account nobody has, the same one each time."""
        return self._account_ids.setdefault(line.account, new_id())

    def _item(self, line: PayrollLine) -> dict[str, object]:
        return {**self._transfer(line), "idempotency_key": line.idempotency_key}

    def _transfer(self, line: PayrollLine) -> dict[str, object]:
        return {
            "source_account_id": self._payer.account_id,
            "destination_account_id": self._account_of(line),
            "amount_minor": line.amount_minor,
            "asset": line.asset,
            "description": line.note,
        }


def _chunks(lines: Sequence[PayrollLine]) -> Iterator[Sequence[PayrollLine]]:
    for first in range(0, len(lines), BATCH_LINES):
        yield lines[first : first + BATCH_LINES]
