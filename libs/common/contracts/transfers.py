"""Value types that several owners' messages carry: the transfer command and its parts."""

from typing import Annotated, Final, Literal

import msgspec

CanonicalId = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$(?!\n)", max_length=36)
]
"""A UUID in the one spelling that compares equal as text (RFC 9562: lower case); PostgreSQL would take others too."""

TransferKind = Literal["transfer", "deposit", "withdrawal"]
"""`transfer`: a customer's own. `deposit`: an operator credits a customer from the asset's reserve. `withdrawal`: an
operator debits a customer to the reserve."""

DEVICE_CHARACTERS_MAX: Final = 100
"""Longest name that a client may give its device."""
HOLD_SECONDS_MAX: Final = 31 * 24 * 3600
"""Longest time a caller's hold may reserve money: a card's authorisation lasts 7 to 31 days."""


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One movement of an amount between two accounts.

    `destination_owner_id` is the customer whom the gateway and fraud took for the payee, empty when they knew none.
    The ledger refuses a leg whose destination belongs to somebody else: nobody is paid unscreened.
    """

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str
    destination_owner_id: str


class Party(msgspec.Struct, frozen=True, gc=False):
    """A customer as the gateway saw him when it took the command: KYC tier 0 to 3, by this version of his record."""

    user_id: str
    kyc_tier: int
    kyc_version: int


class TransferCommand(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A transfer as it was asked for; complete, so that no consumer needs to ask anybody.

    `payer` is absent for a deposit. `payees` holds each destination's owner once; none for a withdrawal.
    `memo_commitment` is the hex SHA-256 over a salt and the free text (empty without text): the text itself never
    leaves the gateway. `requested_at` is RFC 3339 UTC. `hold_seconds` above 0 asks for a hold that the caller captures
    or voids, and that ends by itself so long after the ledger has taken it in; 0 posts at once. `address_key` and
    `device_key` tell equal origins from different ones (`libs.common.origins`), 0 where nobody knows them.
    """

    transfer_id: CanonicalId
    kind: TransferKind
    actor_id: str
    payer: Party | None
    payees: tuple[Party, ...]
    legs: tuple[Leg, ...]
    memo_commitment: str
    requested_at: str
    hold_seconds: int = 0
    address_key: int = 0
    device_key: int = 0
