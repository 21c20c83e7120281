"""A customer, and which roles there are."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from libs.common.errors import Unprocessable

Profile = Literal["retail", "business"]
CustomerKind = Literal["person", "machine"]
CustomerStatus = Literal["active", "closed"]

EVERY_ROLE: Final = frozenset({"customer", "support", "compliance", "operator", "auditor", "admin"})
FIRST_ROLES: Final = frozenset({"customer"})
"""What everybody gets who registers."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as stored. `version` counts the states that the bus was told; roles are not among them."""

    user_id: str
    email: str
    full_name: str
    roles: frozenset[str]
    profile: Profile
    status: CustomerStatus
    email_verified_at: datetime | None
    version: int
    registered_at: datetime
    changed_at: datetime
    kind: CustomerKind = "person"


def read_roles(wanted: Collection[str]) -> frozenset[str]:
    """Return the roles as a set. Raises: Unprocessable `unknown_role`."""
    unknown = sorted(set(wanted) - EVERY_ROLE)
    if unknown:
        raise Unprocessable("unknown_role", "Use only roles that exist.", known=sorted(EVERY_ROLE))
    return frozenset(wanted)
