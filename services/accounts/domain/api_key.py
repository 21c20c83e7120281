"""API keys: who holds one, what for, from where and for how long."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Network, ip_network
from typing import Final

from libs.common.errors import Unprocessable

_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored; its secret is known to its holder alone. No network means any."""

    key_id: str
    user_id: str
    name: str
    scopes: frozenset[str]
    networks: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class WantedKey:
    """What somebody asks of a new key."""

    name: str
    scopes: frozenset[str]
    networks: tuple[str, ...]
    expires_at: datetime | None


def judge_wanted(wanted: WantedKey, allowed: Collection[str], now: datetime) -> None:
    """Refuse a key that could do more than its holder, or that is over before it begins.

    Raises: Unprocessable `scope_not_allowed`, `expiry_not_later`.
    """
    beyond = sorted(wanted.scopes - frozenset(allowed))
    if beyond:
        raise Unprocessable(
            "scope_not_allowed", "The holder's roles allow nothing of this scope.", scopes=beyond, known=sorted(allowed)
        )
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise Unprocessable("expiry_not_later", "Choose an end that is still to come.")


def read_network(text: str) -> str:
    """Return a network, or a single address, in its one spelling (CIDR). Raises: Unprocessable `network_invalid`."""
    try:
        network = ip_network(text)
        if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
            raise ValueError("callers are known by their IPv4 address, so this would never match")
    except ValueError as failure:
        raise Unprocessable(
            "network_invalid", "A network is an address, or one with a prefix and no bit set behind it.", network=text
        ) from failure
    return str(network)
