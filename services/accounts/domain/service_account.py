"""Service accounts: principals of machines, which have keys and no password."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from libs.common.errors import Unprocessable
from services.accounts.domain.customer import Customer, read_roles


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account as stored."""

    user_id: str
    name: str
    roles: frozenset[str]
    created_at: datetime
    created_by: str

    def as_customer(self) -> Customer:
        """Return the customer it is to everybody else: a business, with an address no mail reaches (RFC 2606)."""
        return Customer(
            user_id=self.user_id,
            email=f"{self.user_id}@machine.invalid",
            full_name="Service account",
            roles=self.roles,
            profile="business",
            status="active",
            email_verified_at=None,
            version=1,
            registered_at=self.created_at,
            changed_at=self.created_at,
            kind="machine",
        )


def read_machine_roles(wanted: Collection[str]) -> frozenset[str]:
    """Return the roles of a service account. Raises: Unprocessable `unknown_role`, `role_not_for_machines`."""
    roles = read_roles(wanted)
    if "admin" in roles:
        raise Unprocessable("role_not_for_machines", "Admins are people: they answer for what they change.")
    return roles
