"""Bodies of many transfers: read of who may ask, few at once, and not for ever."""

from dataclasses import replace

import pytest

from libs.common.clock import monotonic_seconds
from libs.common.errors import Unauthenticated, Unavailable
from libs.common.http.auth import AskFirst, Principal
from libs.common.http.bounded_protocol import sweep
from libs.common.http.hot_protocol import HotHttpProtocol
from libs.common.http.large_bodies import LARGE_BODIES, MAX_BODY_BYTES
from libs.common.http.places import Places
from libs.common.http.unreadable import ARRIVAL_SECONDS, LARGE_ARRIVAL_SECONDS, LEAST_BYTES_PER_SECOND
from tests.support.http_wire import LATE, Known, Server, Wire, answered, head, until

BOUND = 4 * MAX_BODY_BYTES
PIECE = b"x" * 65536


@pytest.fixture
def server() -> Server:
    return Server(max_body_bytes=BOUND)


def held() -> int:
    return LARGE_BODIES.held


def begin(server: Server, size: int) -> tuple[object, Wire]:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", f"Content-Length: {size}"))
    return protocol, wire


async def test_a_large_body_arrives_whole_and_is_let_go(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", f"Content-Length: {BOUND}"))
    assert held() == 1
    for _ in range(BOUND // len(PIECE)):
        protocol.data_received(PIECE)
    assert (await answered(wire))[0] == 200
    assert (len(server.heard[0].body), held()) == (BOUND, 0)


async def test_one_byte_more_is_refused_at_once(server: Server) -> None:
    _, wire = begin(server, BOUND + 1)
    assert ((await answered(wire))[0], held()) == (413, 0)


async def test_a_body_of_unknown_length_is_counted_as_it_comes(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", "Transfer-Encoding: chunked"))
    chunk = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    for _ in range(MAX_BODY_BYTES // len(PIECE) + 1):
        protocol.data_received(chunk)
    assert held() == 1
    for _ in range((BOUND - MAX_BODY_BYTES) // len(PIECE)):
        if not wire.closed:
            protocol.data_received(chunk)
    assert ((await answered(wire))[0], server.heard, held()) == (413, [], 0)


async def test_a_stranger_is_refused_before_his_body_comes(server: Server) -> None:
    class Nobody(Known):
        def verify(self, authorization: str | None, address: str = "") -> Principal:
            del authorization, address
            raise Unauthenticated("token_missing", "Log in.")

    server.who = Nobody("customer")
    _, wire = begin(server, MAX_BODY_BYTES + 1)
    status, headers, _ = await answered(wire)
    assert (status, headers["connection"], wire.closed, held()) == (401, "close", True, 0)


class ByHeader(Known):
    """Takes everybody for whom he says he is, but asks about keys first."""

    def verify(self, authorization: str | None, address: str = "") -> Principal:
        name = str(authorization).removeprefix("Bearer ")
        if name.startswith("tsk_"):
            raise AskFirst
        return replace(self.principal, user_id=name)


async def test_few_are_held_at_once_and_who_leaves_makes_room(server: Server) -> None:
    server.who = ByHeader("customer")
    begun = [begin_as(server, who, f"192.0.2.{who}") for who in ("1", "2", "3", "4", "5")]
    status, headers, _ = await answered(begun[-1][1])
    assert (status, headers["retry-after"], held()) == (503, "2", 4)
    for protocol, _ in begun[:4]:
        protocol.connection_lost(None)
    await until(lambda: held() == 0)
    begun.append(begin_as(server, "5", "192.0.2.5"))
    assert (begun[-1][1].written, held()) == (b"", 1)
    begun[-1][0].connection_lost(None)
    await until(lambda: held() == 0)


@pytest.mark.parametrize(
    ("sent", "held_then"),
    [
        ([("ada", "192.0.2.1"), ("ada", "192.0.2.2")], 1),
        ([("tsk_1", "192.0.2.1"), ("tsk_2", "192.0.2.1")], 1),
        ([("ada", "192.0.2.1"), ("bob", "192.0.2.1"), ("cid", "192.0.2.1")], 2),
        ([("ada", "2001:db8::1"), ("bob", "2001:db8::2"), ("cid", "2001:db8::3")], 2),
    ],
    ids=["principal", "unknown keys", "address", "network"],
)
async def test_nobody_holds_all_of_them(server: Server, sent: list[tuple[str, str]], held_then: int) -> None:
    server.who = ByHeader("customer")
    begun = [begin_as(server, name, address) for name, address in sent]
    assert ((await answered(begun[-1][1]))[0], held()) == (503, held_then)
    begun.append(begin_as(server, "eve", "192.0.2.9"))
    assert (begun[-1][1].written, held()) == (b"", held_then + 1)
    for protocol, _ in begun:
        protocol.connection_lost(None)
    await until(lambda: held() == 0)
    begun.append(begin_as(server, *sent[0]))
    assert begun[-1][1].written == b""  # who was refused holds nothing
    begun[-1][0].connection_lost(None)
    await until(lambda: held() == 0)


def begin_as(server: Server, who: str, address: str) -> tuple[HotHttpProtocol, Wire]:
    protocol, wire = server.connect(address)
    protocol.data_received(head("/hot", "POST", f"Content-Length: {BOUND}", f"Authorization: Bearer {who}") + PIECE)
    return protocol, wire


@pytest.mark.parametrize(
    ("framing", "size", "grace"),
    [
        (f"Content-Length: {BOUND}", len(PIECE), LARGE_ARRIVAL_SECONDS),
        ("Transfer-Encoding: chunked", MAX_BODY_BYTES + len(PIECE), LARGE_ARRIVAL_SECONDS),
        (f"Content-Length: {MAX_BODY_BYTES}", len(PIECE), ARRIVAL_SECONDS),
    ],
    ids=["large", "large of unknown length", "small"],
)
async def test_a_body_that_keeps_coming_gets_the_time_it_earns(
    server: Server, framing: str, size: int, grace: float
) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", framing))
    for _ in range(size // len(PIECE)):
        protocol.data_received(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if "chunked" in framing else PIECE)
    earned = size / LEAST_BYTES_PER_SECOND
    now = monotonic_seconds()
    sweep(server.state, now + grace + earned - 0.5)
    assert wire.written == b""
    sweep(server.state, now + grace + earned + 1)
    assert ((await answered(wire))[0], held()) == (408, 0)


async def test_while_we_do_not_take_what_came_nobody_is_late(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/size", "POST", f"Content-Length: {4 * len(PIECE)}") + 2 * PIECE)
    assert not wire.reads
    server.sweep_after(LATE + 4 * len(PIECE) / LEAST_BYTES_PER_SECOND)
    assert wire.written == b""
    protocol.data_received(2 * PIECE)
    assert (await answered(wire))[0] == 200


def test_the_bound_holds_and_is_given_back() -> None:
    bodies = Places(1, 1, "Try again.")
    bodies.enter("ada")
    with pytest.raises(Unavailable, match="overloaded"):
        bodies.enter("bob")
    bodies.leave("ada")
    bodies.enter("bob")
