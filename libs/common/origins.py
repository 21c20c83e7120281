"""Where a request came from, as numbers that tell equal from different and nothing else.

Services compare addresses and devices without keeping them: each is a keyed hash (HMAC-SHA256, RFC 2104, cut to 63
bits). A private address says nothing about whoever is behind it, so it has no number; of an IPv6 address the first 64
bits count, which is what one customer is given (RFC 6177).
"""

import hmac
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

UNKNOWN: Final = 0
_REMEMBERED: Final = 20_000
_INTERFACE_BITS: Final = 64


class Origin(NamedTuple):
    """Where a request came from: numbers of its address and its device, 0 where nobody knows them."""

    address_key: int = UNKNOWN
    device_key: int = UNKNOWN


NOWHERE: Final = Origin()


class OriginKeys:
    """Turns addresses and devices into numbers, the same in every process that has the secret."""

    def __init__(self, secret: str) -> None:
        """Derive the key from a secret that all services share; another secret makes everybody new."""
        self._key = hmac.digest(secret.encode(), b"tallystick origins v1", sha256)
        self.address = lru_cache(_REMEMBERED)(self._address)
        self.device = lru_cache(_REMEMBERED)(self._device)

    def _address(self, text: str) -> int:
        """Return the number of an IP address, 0 for one that is not public, or for no address at all."""
        try:
            address = ip_address(text)
        except ValueError:
            return UNKNOWN
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not address.is_global:
            return UNKNOWN
        if isinstance(address, IPv6Address):
            return self._number("address", str(int(address) >> _INTERFACE_BITS))
        return self._number("address", str(address))

    def _device(self, text: str) -> int:
        """Return the number of a device as its client names it, 0 for none."""
        return self._number("device", text) if text else UNKNOWN

    def _number(self, kind: str, text: str) -> int:
        digest = hmac.digest(self._key, f"{kind}:{text}".encode(), sha256)
        return int.from_bytes(digest[:8]) >> 1 or 1
