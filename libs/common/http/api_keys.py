"""API keys: `tsk_<key id>_<secret>`, believed on accounts' word and remembered for a minute.

The owner is asked once, then again whenever a minute is over or something of the user was revoked; a revoked key is
refused as soon as its revocation is heard. Without the owner's word a key is worth nothing: 503.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Protocol
from uuid import UUID

import msgspec

from libs.common.errors import Forbidden, Unauthenticated
from libs.common.http.auth import KEY_PREFIX, AskFirst, Principal
from libs.common.http.client_address import neighbourhood_of
from libs.common.http.places import Places
from libs.common.http.revocations import Revocations

KEPT_SECONDS: Final = 60.0
_NEVER: Final = float("-inf")
_TEXT: Final = re.compile(r"tsk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_REMEMBERED_MAX: Final = 50_000
_ASKING_MAX: Final = 32
_ASKING_EACH_MAX: Final = 4
"""Questions at once that come from one address: whoever makes up keys must not crowd out real ones."""


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts says of a living key. `networks` are CIDR, none for any; `expires_at` is in seconds since 1970."""

    key_id: str
    user_id: str
    roles: list[str]
    scopes: list[str]
    networks: list[str]
    expires_at: float
    is_machine: bool


class KeyOwner(Protocol):
    """Who knows keys."""

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        """Return what a living key is worth to who has its secret, whose hash is given in hexadecimal digits.

        None for a key that is unknown, revoked or expired, or has another secret. Raises: Unavailable.
        """


@dataclass(frozen=True, slots=True)
class _Known:
    facts: KeyFacts
    networks: tuple[IPv4Network | IPv6Network, ...]
    asked_at: float
    revoked_at: float
    """The user's revocation that accounts had taken into account; of another one it says nothing."""


def key_text(key_id: str, secret: str) -> str:
    """Return what the caller sends; the secret is 43 characters of base64url, 256 random bits."""
    return f"{KEY_PREFIX}{UUID(key_id).hex}_{secret}"


def secret_hash(secret: str) -> bytes:
    """Return what is stored of a secret; being random, it needs no slow hash."""
    return sha256(secret.encode()).digest()


class KnownKeys:
    """The keys of one process; `now` is in seconds since 1970."""

    def __init__(self, owner: KeyOwner, revocations: Revocations, now: Callable[[], float]) -> None:
        """Know no key yet."""
        self._owner = owner
        self._revocations = revocations
        self._now = now
        self._known: dict[str, tuple[Principal, _Known]] = {}
        self._places = Places(_ASKING_MAX, _ASKING_EACH_MAX, "Too many keys are being looked up; try again.")
        self._asking: dict[tuple[str, str], asyncio.Task[KeyFacts | None]] = {}

    def look_up(self, text: str, address: str) -> Principal:
        """Return whose key this is. Raises: AskFirst, Unauthenticated, Forbidden `address_not_allowed`."""
        found = self._known.get(text)
        if found is None:
            raise AskFirst
        principal, known = found
        now = self._now()
        if principal.expires_at <= now or self._revocations.names(known.facts.key_id):
            self._known.pop(text, None)
            raise _invalid()
        # A clock that was set back must not keep it for longer; and revocations have the time of another machine.
        is_recent = 0 <= now - known.asked_at <= KEPT_SECONDS
        if not is_recent or known.revoked_at != self._revocations.user_revoked_at(principal.user_id):
            raise AskFirst
        if known.networks:
            _require_address(known.networks, address)
        return principal

    async def ask(self, text: str, address: str) -> None:
        """Have the owner say what the key is worth. Raises: Unauthenticated `api_key_invalid`, Unavailable."""
        parts = _TEXT.fullmatch(text)
        if parts is None:
            raise _invalid()
        # Before the answer: what is revoked while it travels must make it old.
        asked_at, heard = self._now(), self._revocations.heard
        facts = await self._facts_of((str(UUID(parts[1])), secret_hash(parts[2]).hex()), neighbourhood_of(address))
        if facts is None:
            self._known.pop(text, None)
            raise _invalid()
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        networks = tuple(ip_network(network) for network in facts.networks)
        is_told = heard == self._revocations.heard
        revoked_at = self._revocations.user_revoked_at(facts.user_id) if is_told else _NEVER
        self._known[text] = (_principal_of(facts, asked_at), _Known(facts, networks, asked_at, revoked_at))

    async def _facts_of(self, asked: tuple[str, str], whence: str) -> KeyFacts | None:
        """Ask once for all who wait for this id and hash, not for more keys at a time than the owner can bear."""
        asking = self._asking.get(asked)
        if asking is None:
            self._places.enter(whence)
            asking = asyncio.create_task(self._owner.find_key(*asked))
            self._asking[asked] = asking
            asking.add_done_callback(lambda _: self._answered(asked, whence))
        return await asyncio.shield(asking)

    def _answered(self, asked: tuple[str, str], whence: str) -> None:
        self._places.leave(whence)
        self._asking.pop(asked, None)


def _principal_of(facts: KeyFacts, asked_at: float) -> Principal:
    return Principal(
        user_id=facts.user_id,
        roles=frozenset(facts.roles),
        token_id=facts.key_id,
        expires_at=facts.expires_at,
        issued_at=asked_at,
        scopes=frozenset(facts.scopes),
        key_id=facts.key_id,
        is_machine=facts.is_machine,
    )


def _require_address(networks: tuple[IPv4Network | IPv6Network, ...], address: str) -> None:
    try:
        found = ip_address(address)
    except ValueError:
        found = None
    mapped = getattr(found, "ipv4_mapped", None)
    if found is None or not any((mapped or found) in network for network in networks):
        raise Forbidden("address_not_allowed", "This key may not be used from your address.")


def _invalid() -> Unauthenticated:
    return Unauthenticated("api_key_invalid", "The API key is unknown, revoked or expired; make another.")
