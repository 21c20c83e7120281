"""Which addresses a webhook may be sent to: public ones, however they are written.

Whoever names an address has us connect to it from inside (OWASP, server-side request forgery), so whatever is not
plainly an address of the public internet is refused: the special-purpose registries of IANA, and every form in which an
IPv6 address carries an IPv4 address (RFC 4291 2.5.5, RFC 6052, RFC 3056, RFC 4380), judged by what it carries.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_Address = IPv4Address | IPv6Address

_REFUSED: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_IPV4_BITS: Final = 32
_IPV4_MASK: Final = (1 << _IPV4_BITS) - 1


def is_public(text: str) -> bool:
    """Tell whether this is an address of the public internet. Raises: ValueError for what is no address."""
    return all(_is_plainly_public(address) for address in _meant_by(ip_address(text)))


def _is_plainly_public(address: _Address) -> bool:
    refused = any(address.version == network.version and address in network for network in _REFUSED)
    return address.is_global and not address.is_multicast and not refused


def _meant_by(address: _Address) -> tuple[_Address, ...]:
    """Return the address, or the IPv4 address it stands for."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.scope_id is not None:
        return (IPv4Address("0.0.0.0"),)  # noqa: S104 -- nothing is bound: a zone names a link, and no link is public
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & _IPV4_MASK),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return (address,)
