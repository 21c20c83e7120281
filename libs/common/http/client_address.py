"""Where a request comes from: the peer of the connection, or what the proxies say that we were told to trust."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

ForwardedHeader = Literal["x-forwarded-for", "forwarded"]

_HOPS_MAX: Final = 16
_NEIGHBOURHOOD_BITS: Final = 64

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = rf'({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*")'
_PAIRS: Final = re.compile(rf"{_PAIR}(?:;|$)")
_ELEMENT: Final = rf"{_PAIR}(?:;{_PAIR})*"
_FORWARDED: Final = re.compile(rf"\s*{_ELEMENT}\s*(?:,|$)")
_WITH_PORT: Final = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|(\d[\d.]*)(?::\d{1,5})?")


class TrustedProxies:
    """Finds a request's address.

    A header is believed only as far as trusted hands wrote it: read from its right end, where the nearest proxy added
    what it saw, up to the first address that is no trusted proxy's. One header alone is read, since a proxy that
    writes one of them hands on the other as anybody sent it.
    """

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network], header: ForwardedHeader) -> None:
        """Trust the proxies in these networks; none are trusted without."""
        self._networks = tuple(networks)
        self._header = header.encode()
        self._is_trusted = lru_cache(maxsize=4096)(self._is_in_networks)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._networks)

    def address_of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address nearest to us that no trusted proxy has; what cannot be read ends the way there."""
        if not self._networks or not self._is_trusted(peer):
            return peer
        said = b",".join(value for name, value in headers if name == self._header).decode("latin-1")
        hops = said.split(",") if self._header == b"x-forwarded-for" else _forwarded_for(said)
        address = peer
        for hop in reversed(hops[-_HOPS_MAX:]):
            before = _read_address(hop.strip())
            if before is None:
                break
            address = before
            if not self._is_trusted(address):
                break
        return address

    def _is_in_networks(self, address: str) -> bool:
        try:
            parsed = _plain(ip_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


@lru_cache(maxsize=4096)
def neighbourhood_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 network that one subscriber of IPv6 has."""
    try:
        parsed = _plain(ip_address(address))
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((parsed, _NEIGHBOURHOOD_BITS), strict=False))


def _forwarded_for(text: str) -> list[str]:
    """Return the `for` of each element (RFC 7239, 4); nothing of a header that is not wholly well-formed.

    A quotation mark that somebody left open would else swallow what the proxies added behind it.
    """
    found: list[str] = []
    position = 0
    while position < len(text):
        element = _FORWARDED.match(text, position)
        if element is None:
            return []
        pairs = {name.lower(): value for name, value in _PAIRS.findall(element[0].strip(", \t"))}
        found.append(pairs.get("for", "").strip('"'))
        position = element.end()
    return found


def _read_address(text: str) -> str | None:
    """Return the address without brackets and port, spelled as Python does; None for what is none."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return str(_plain(ip_address((with_port[1] or with_port[2]) if with_port else text)))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2) as what it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
