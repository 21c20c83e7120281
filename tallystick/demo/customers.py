"""The people of the story: registered, with accounts, verified by compliance, all but one."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from tallystick.demo.api import Api
from tallystick.demo.at_once import each, wait_for
from tallystick.demo.progress import Steps
from tallystick.stack.stack_file import Stack

ASSET: Final = "USD"
EMPLOYEES: Final = tuple(f"employee-{number:02}" for number in range(1, 41))
PENDING: Final = "employee-40"
"""Compliance gets to this one's application only after the payroll."""
BUSINESS: Final = "business"
RETAIL: Final = "customer"
_AT_ONCE: Final = 4
"""The accounts service hashes two passwords at a time; more would only queue."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody with a token and an account."""

    label: str
    user_id: str
    token: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody in the story, and the administrator's token, which holds every staff role."""

    admin_token: str
    business: Customer
    retail: Customer
    employees: Mapping[str, Customer]

    @property
    def everybody(self) -> list[Customer]:
        """Return all customers."""
        return [*self.employees.values(), self.retail, self.business]


@dataclass(frozen=True, slots=True)
class _Registered:
    label: str
    email: str
    password: str
    user_id: str


async def gather_cast(api: Api, stack: Stack, steps: Steps) -> Cast:
    """Make all customers. New ones each time, so that a demo can be repeated on the same data. Raises: DemoFailed."""
    # Those who pay come last: with rate limits on, log-ins take minutes, and a token lasts a quarter of an hour.
    labels = [*EMPLOYEES, RETAIL, BUSINESS]
    with steps.step(f"{len(labels)} customers register", len(labels)) as advance:
        registered = await each(labels, lambda label: _register(api, label), at_once=_AT_ONCE, advance=advance)
    with steps.step("they log in, open an account and apply for verification", len(labels)) as advance:
        customers = await each(registered, lambda one: _enter(api, one), at_once=_AT_ONCE, advance=advance)
    admin_token = await _log_in(api, stack.admin.email, stack.admin.password)
    by_label = {customer.label: customer for customer in customers}
    cast = Cast(admin_token, by_label[BUSINESS], by_label[RETAIL], {label: by_label[label] for label in EMPLOYEES})
    await _review(api, cast, steps)
    with steps.step("the news reaches everybody who decides on transfers"):
        await _wait_until_heard(stack.postgres, cast)
    return cast


async def approve(api: Api, cast: Cast, customer: Customer) -> None:
    """Let compliance approve an application. Raises: DemoFailed."""
    seen = {"version": 1, "reason": "documents seen"}
    answer = await api.post(f"/admin/kyc/{customer.user_id}/approve", seen, token=cast.admin_token)
    answer.expect(200)


async def _register(api: Api, label: str) -> _Registered:
    email = f"{label}.{secrets.token_hex(6)}@example.com"
    password = secrets.token_urlsafe(18)
    answer = await api.post("/users", {"email": email, "password": password, "full_name": label})
    return _Registered(label, email, password, answer.expect(201)["user_id"])


async def _enter(api: Api, one: _Registered) -> Customer:
    token = await _log_in(api, one.email, one.password)
    opened = (await api.post("/accounts", {"asset": ASSET}, token=token)).expect(201, 202)
    await _wait_until_active(api, token, opened["account_id"])
    application = {"full_name": one.label, "birth_date": "1990-01-01", "country": "DE"}
    (await api.post("/kyc/application", application, token=token)).expect(201)
    return Customer(one.label, one.user_id, token, opened["account_id"])


async def _log_in(api: Api, email: str, password: str) -> str:
    answer = await api.post("/auth/login", {"email": email, "password": password})
    return str(answer.expect(200)["access_token"])


async def _wait_until_active(api: Api, token: str, account_id: str) -> None:
    async def is_active() -> bool:
        return bool((await api.get(f"/accounts/{account_id}", token=token)).expect(200)["status"] == "active")

    await wait_for("an account to become active", is_active)


async def _review(api: Api, cast: Cast, steps: Steps) -> None:
    """Give the business its profile, and approve everybody but the one who stays pending."""
    answer = await api.put(
        f"/admin/users/{cast.business.user_id}/profile", {"profile": "business"}, token=cast.admin_token
    )
    answer.expect(200)
    approved = [customer for customer in cast.everybody if customer.label != PENDING]
    with steps.step(f"compliance approves all but {PENDING}", len(approved)) as advance:
        await each(approved, lambda customer: approve(api, cast, customer), at_once=_AT_ONCE, advance=advance)


async def _wait_until_heard(dsn: str, cast: Cast) -> None:
    """Return when screening knows every tier and the business's profile.

    No route tells how far a service has heard; a first salary sent too early would be held, which is right, but not
    what this story is about.
    """
    approved = [customer.user_id for customer in cast.everybody if customer.label != PENDING]
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "tallystick-demo"})
    try:

        async def is_heard() -> bool:
            known: int = await connection.fetchval(
                "SELECT count(*) FROM fraud.users WHERE user_id = ANY($1::uuid[]) AND kyc_tier > 0", approved
            )
            profile = await connection.fetchval(
                "SELECT profile FROM fraud.users WHERE user_id = $1::uuid", cast.business.user_id
            )
            return known == len(approved) and profile == "business"

        await wait_for("screening to hear of the approvals", is_heard)
    finally:
        await connection.close()
