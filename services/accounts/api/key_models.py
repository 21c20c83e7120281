"""Bodies about API keys and service accounts."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from libs.common.clock import to_rfc3339
from libs.common.http.models import ShortText, StrictModel
from libs.common.http.moments import Moment
from libs.common.http.permissions import Role, Scope
from services.accounts.domain.api_key import ApiKey, WantedKey, read_network
from services.accounts.domain.service_account import ServiceAccount

_NETWORKS_MAX = 20

Network = Annotated[
    str, StringConstraints(min_length=2, max_length=43), Field(pattern=r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$")
]


class ApiKeyRequest(StrictModel):
    """What a new key is for, where it may be used from and until when."""

    name: ShortText
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50, description="What the key may be used for.")]
    allowed_networks: Annotated[
        tuple[Network, ...],
        Field(
            strict=False,
            max_length=_NETWORKS_MAX,
            description="Addresses or networks (CIDR, IPv4 or IPv6) it may be used from; none for any.",
            examples=[["198.51.100.0/24", "2001:db8::/32"]],
        ),
    ] = ()
    expires_at: Annotated[Moment | None, Field(description="When it ends; never, if left out.")] = None

    def wanted(self) -> WantedKey:
        """Return this as the use case takes it. Raises: Unprocessable `network_invalid`."""
        networks = tuple(read_network(text) for text in self.allowed_networks)
        return WantedKey(self.name, frozenset(self.scopes), networks, self.expires_at)


class ApiKeyAnswer(BaseModel):
    """A key without its secret. Times are RFC 3339 UTC; `last_used_at` is exact to a minute."""

    key_id: str
    name: str
    scopes: list[str]
    allowed_networks: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyAnswer":
        """Return the answer about a key."""
        expires_at, last_used_at, revoked_at = (
            to_rfc3339(moment) if moment else None for moment in (key.expires_at, key.last_used_at, key.revoked_at)
        )
        return cls(
            key_id=key.key_id,
            name=key.name,
            scopes=sorted(key.scopes),
            allowed_networks=list(key.networks),
            created_at=to_rfc3339(key.created_at),
            expires_at=expires_at,
            last_used_at=last_used_at,
            revoked_at=revoked_at,
        )


class NewApiKey(ApiKeyAnswer):
    """A key that was just made."""

    key: str | None = Field(
        description="Send it as `Authorization: Bearer <key>`. It is shown this once, so keep it: a copy "
        "of the request, with the same `Idempotency-Key`, is answered null."
    )


class ApiKeyList(BaseModel):
    """A page of keys, newest first; `next` is the cursor of the page after it."""

    api_keys: list[ApiKeyAnswer]
    next: str | None


class ServiceAccountRequest(StrictModel):
    """What a service account is called, and what it may do."""

    name: ShortText
    roles: Annotated[list[Role], Field(min_length=1, max_length=50, description="Any role but `admin`.")]


class ServiceAccountAnswer(BaseModel):
    """A service account. Times are RFC 3339 UTC."""

    user_id: str
    name: str
    roles: list[str]
    created_at: str
    created_by: Annotated[str, Field(description="The admin who made it.")]

    @classmethod
    def of(cls, machine: ServiceAccount) -> "ServiceAccountAnswer":
        """Return the answer about a service account."""
        return cls(
            user_id=machine.user_id,
            name=machine.name,
            roles=sorted(machine.roles),
            created_at=to_rfc3339(machine.created_at),
            created_by=machine.created_by,
        )


class ServiceAccountList(BaseModel):
    """A page of service accounts, newest first; `next` is the cursor of the page after it."""

    service_accounts: list[ServiceAccountAnswer]
    next: str | None


class ServiceAccountMade(BaseModel):
    """The new service account's id, by which everything else knows it."""

    user_id: str
