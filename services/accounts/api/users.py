"""Registering."""

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.accounts.api.models import Registered, Registration
from services.accounts.use_cases.register_customer import RegisterCustomer


def users_router(register_customer: RegisterCustomer) -> APIRouter:
    """Return the routes by which somebody becomes a customer."""
    router = APIRouter(prefix="/api/v1", tags=["customers"])

    @router.post(
        "/users",
        status_code=201,
        summary="Register",
        dependencies=[permitted("customer.register")],
        responses=refusals("email_taken", "email_invalid", "password_common", "password_personal"),
    )
    async def register(body: Registration, request: Request) -> Registered:
        """Make a customer with the profile `retail`. No token is needed.

        The e-mail is stored in one normal form (NFKC, lower case, its domain as A-labels), so that a mailbox registers
        once; a second time is a conflict. A token that proves it is mailed there.
        """
        customer = await register_customer(
            email=body.email,
            password=body.password.get_secret_value(),
            full_name=body.full_name,
            asker=asker_of(request),
        )
        return Registered(user_id=customer.user_id)

    return router
