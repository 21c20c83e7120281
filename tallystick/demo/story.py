"""The story from beginning to end: people, payroll, single transfers, the late approval, the proof."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.clock import monotonic_seconds
from libs.common.ids import new_id
from tallystick.demo.api import Answer, Api, make_client
from tallystick.demo.at_once import each, wait_for
from tallystick.demo.books import Books, check_books
from tallystick.demo.claims import claims_of_payroll, claims_of_singles
from tallystick.demo.customers import ASSET, EMPLOYEES, PENDING, Cast, Customer, approve, gather_cast
from tallystick.demo.expectations import Expected, expect
from tallystick.demo.pay import Paid, PayrollRun, PayrollRunner
from tallystick.demo.payroll import PayrollLine
from tallystick.demo.progress import Advance, Steps
from tallystick.demo.receipts import Claim, Receipts, check_receipts
from tallystick.demo.singles import Singles, pay_singles, send
from tallystick.stack.stack_file import Stack

RETAIL_DEPOSIT_MINOR: Final = 1_000_00
SPARE_MINOR: Final = 2_000_000_00
"""What the business has beyond the payroll: enough that the line above the limit is not refused for lack of funds."""
_BALANCES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Arrival:
    """The held salaries: what they came to after the approval, and how long that took."""

    statuses: list[str]
    before_minor: int
    after_minor: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that was answered and read, beside what was expected of the payroll."""

    lines: int
    expected: Expected
    payroll: PayrollRun
    singles: Singles
    arrival: Arrival
    replayed: Answer
    balances_minor: dict[str, int]
    deposits: int
    receipts: Receipts
    books: Books


async def tell(stack: Stack, lines: Sequence[PayrollLine], steps: Steps) -> Told:
    """Let it happen on a running stack. Raises: DemoFailed when the story cannot go on."""
    expected = expect(lines, employees=EMPLOYEES, pending={PENDING})
    async with make_client(stack.api) as client:
        api = Api(client, steps.notice)
        # The keys are taken before any money moves: what is proven later is proven against these.
        vkeys_text = (await api.get("/transparency/key")).body.decode("utf-8")
        cast = await gather_cast(api, stack, steps)
        deposits = await _deposit(api, cast, expected)
        with steps.step(f"{cast.business.label} pays {len(lines):,} lines", len(lines)) as advance:
            payroll = await PayrollRunner(api, cast.business, cast.employees, advance).run(lines)
        with steps.step("single transfers, until the hourly limit says stop"):
            singles = await pay_singles(api, cast)
        with steps.step(f"compliance approves {PENDING}, the held salaries arrive"):
            arrival = await _let_arrive(api, cast, payroll.paid)
        with steps.step("one transfer is sent again under its key"):
            replayed = await send(api, singles.retail[0].order)
        with steps.step("balances are read", len(cast.everybody)) as advance:
            balances_minor = await _read_balances(api, cast, advance)
        claims = [*deposits, *claims_of_payroll(cast, payroll.paid), *claims_of_singles(singles)]
        with steps.step("receipts are verified offline", len(claims)) as advance:
            receipts = await check_receipts(api, cast.admin_token, claims, vkeys_text=vkeys_text, advance=advance)
        with steps.step("the books are recomputed and compared"):
            books = await check_books(stack, vkeys_text)
    return Told(
        len(lines), expected, payroll, singles, arrival, replayed, balances_minor, len(deposits), receipts, books
    )


async def _deposit(api: Api, cast: Cast, expected: Expected) -> list[Claim]:
    """Give the business what the payroll takes and more, the retail customer enough. Returns what must be provable."""
    claims = []
    for customer, amount_minor in (
        (cast.business, expected.total_minor + SPARE_MINOR),
        (cast.retail, RETAIL_DEPOSIT_MINOR),
    ):
        body = {
            "account_id": customer.account_id,
            "amount_minor": amount_minor,
            "asset": ASSET,
            "reference": f"opening deposit of {customer.label}",
        }
        said = (await api.post("/deposits", body, token=cast.admin_token, key=new_id())).expect(201)
        claims.append(Claim(said["transfer_id"], "posted", None, customer.account_id, amount_minor))
    return claims


async def _let_arrive(api: Api, cast: Cast, paid: Sequence[Paid]) -> Arrival:
    """Approve the one who is pending, and watch his salaries until none is held."""
    employee = cast.employees[PENDING]
    held = [one.transfer_id for one in paid if one.status == "held"]
    before_minor = await _balance_minor(api, employee)
    began = monotonic_seconds()
    await approve(api, cast, employee)
    statuses: list[str] = []

    async def is_decided() -> bool:
        answers = [await api.get(f"/transfers/{transfer_id}", token=employee.token) for transfer_id in held]
        statuses[:] = [str(answer.expect(200)["status"]) for answer in answers]
        return "held" not in statuses

    await wait_for("the held salaries to arrive", is_decided)
    seconds = monotonic_seconds() - began
    return Arrival(statuses, before_minor, await _balance_minor(api, employee), seconds)


async def _read_balances(api: Api, cast: Cast, advance: Advance) -> dict[str, int]:
    """Return label → posted balance in minor units, as each customer himself sees it."""
    customers = cast.everybody
    balances_minor = await each(
        customers, lambda one: _balance_minor(api, one), at_once=_BALANCES_AT_ONCE, advance=advance
    )
    return {customer.label: minor for customer, minor in zip(customers, balances_minor, strict=True)}


async def _balance_minor(api: Api, customer: Customer) -> int:
    shown = (await api.get(f"/accounts/{customer.account_id}", token=customer.token)).expect(200)
    return int(shown["posted_minor"])
