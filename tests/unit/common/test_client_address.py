"""Nobody names his own address, whatever he writes into the headers that proxies write into."""

from ipaddress import ip_network

import pytest

from libs.common.http.client_address import ForwardedHeader, TrustedProxies, neighbourhood_of

PROXY, INNER, CLIENT, LIE = "10.0.0.1", "10.0.0.2", "198.51.100.7", "203.0.113.9"


def seen(peer: str, *values: str, header: ForwardedHeader = "x-forwarded-for", name: str = "") -> str:
    trusted = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")], header)
    return trusted.address_of(peer, [((name or header).encode(), value.encode()) for value in values])


def test_without_trusted_proxies_the_peer_is_who_asks() -> None:
    nobody = TrustedProxies([], "x-forwarded-for")
    assert not nobody
    assert nobody.address_of(CLIENT, [(b"x-forwarded-for", LIE.encode())]) == CLIENT


def test_a_stranger_may_write_what_he_likes() -> None:
    assert seen(CLIENT, LIE) == CLIENT
    assert seen(CLIENT, PROXY) == CLIENT


@pytest.mark.parametrize("values", [(CLIENT,), (f"{LIE}, {CLIENT}",), (LIE, CLIENT), (f"{LIE},{CLIENT} , {INNER}",)])
def test_what_the_nearest_proxies_added_counts_and_nothing_before(values: tuple[str, ...]) -> None:
    assert seen(PROXY, *values) == CLIENT


def test_behind_nothing_but_proxies_the_first_of_them_asks() -> None:
    assert seen(PROXY, f"{INNER}, {PROXY}") == INNER
    assert seen(PROXY) == PROXY


@pytest.mark.parametrize("garbage", ["unknown", "", "999.1.1.1", "_hidden", "1.2.3.4:99999999", "[::1", "a, b"])
def test_what_cannot_be_read_ends_the_way(garbage: str) -> None:
    assert seen(PROXY, f"{LIE}, {garbage}") == PROXY
    assert seen(PROXY, f"{LIE}, {garbage}, {INNER}") == INNER


def test_more_hops_than_anybody_has_are_not_followed() -> None:
    assert seen(PROXY, ", ".join([CLIENT, *[INNER] * 5000])) == INNER


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7:1234", CLIENT),
        ("[2001:db8:2::1]:443", "2001:db8:2::1"),
        ("[2001:db8:2::1]", "2001:db8:2::1"),
        ("2001:DB8:2:0::1", "2001:db8:2::1"),
        ("::ffff:198.51.100.7", CLIENT),
    ],
)
def test_ports_and_spellings_do_not_matter(text: str, address: str) -> None:
    assert seen(PROXY, text) == address


def test_a_proxy_may_be_reached_by_ipv6_or_as_ipv4_written_as_ipv6() -> None:
    assert seen("2001:db8:1::5", CLIENT) == CLIENT
    assert seen("::ffff:10.0.0.1", CLIENT) == CLIENT


@pytest.mark.parametrize(
    "value",
    [
        f"for={CLIENT}",
        f'For="{CLIENT}:1234";proto=https;by=10.0.0.1',
        f"for={LIE}, for={CLIENT}",
        f"for={LIE},for={CLIENT};host=a, proto=http;for={INNER}",
        f'for={CLIENT};host="x,for={LIE}"',
        f'host="a\\", for={LIE}";for={CLIENT}',
    ],
)
def test_the_standard_header_is_read_alike(value: str) -> None:
    assert seen(PROXY, value, header="forwarded") == CLIENT


def test_a_quotation_mark_left_open_hides_nobody_behind_a_lie() -> None:
    assert seen(PROXY, f'for={LIE};host="', f"for={CLIENT}", header="forwarded") == PROXY
    assert seen(PROXY, f"for={LIE} for=1, for={CLIENT}", header="forwarded") == PROXY
    assert seen(PROXY, 'for="[2001:db8:2::1]:47"', header="forwarded") == "2001:db8:2::1"


def test_only_the_header_that_the_proxies_write_is_read() -> None:
    assert seen(PROXY, f"for={LIE}", name="forwarded") == PROXY
    assert seen(PROXY, LIE, header="forwarded", name="x-forwarded-for") == PROXY


def test_a_subscriber_counts_as_one_however_many_addresses_he_has() -> None:
    assert neighbourhood_of("2001:db8:5:6::1") == neighbourhood_of("2001:db8:5:6:ffff::9") == "2001:db8:5:6::/64"
    assert neighbourhood_of("2001:db8:5:7::1") != neighbourhood_of("2001:db8:5:6::1")
    assert neighbourhood_of("::ffff:198.51.100.7") == neighbourhood_of(CLIENT) == CLIENT
    assert neighbourhood_of("unknown") == "unknown"
