"""Requests to hot endpoints over one connection: their order, their pace, and what ends them."""

import asyncio
from ipaddress import ip_network

import pytest

from libs.common.http.client_address import TrustedProxies
from libs.common.http.large_bodies import MAX_BODY_BYTES
from tests.support.http_wire import Server, answered, head, read, until

ONE = head("/hot", "POST", "Content-Length: 1") + b"x"


@pytest.fixture
async def server() -> Server:
    return Server()


async def test_a_long_pipeline_is_answered_in_order(server: Server) -> None:
    server.may_answer.clear()
    protocol, wire = server.connect()
    asked = [f"{number:04}".encode() for number in range(2000)]
    protocol.data_received(b"".join(head("/hot", "POST", "Content-Length: 4") + body for body in asked))
    server.may_answer.set()
    await until(lambda: wire.written.count(b"HTTP/1.1 200 OK") == len(asked))
    assert [request.body for request in server.heard] == asked


async def test_one_piece_of_many_requests_does_not_keep_everybody_else_waiting(server: Server) -> None:
    """None is answered while the piece is taken apart, and no more is read until all have been."""
    server.may_answer.clear()
    protocol, wire = server.connect()
    protocol.data_received(ONE * 3)
    assert (server.heard, wire.reads) == ([], False)
    await until(lambda: server.heard)
    assert (len(server.heard), wire.reads) == (1, False)
    server.may_answer.set()
    await until(lambda: wire.written.count(b"HTTP/1.1 200 OK") == 3)
    assert wire.reads


async def test_who_does_not_read_is_not_read_either(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(ONE)
    protocol.pause_writing()
    await answered(wire)
    assert not wire.reads
    protocol.resume_writing()
    assert wire.reads


async def test_a_pipeline_is_not_read_on_because_the_peer_reads(server: Server) -> None:
    server.may_answer.clear()
    protocol, wire = server.connect()
    protocol.data_received(ONE * 2)
    protocol.pause_writing()
    protocol.resume_writing()
    assert not wire.reads


@pytest.mark.parametrize("headers", [("Connection: close",), ("Content-Length: 00000000000000001",)])
async def test_nothing_that_follows_the_last_answer_is_done(server: Server, headers: tuple[str, ...]) -> None:
    protocol, wire = server.connect()
    length = () if "Length" in headers[0] else ("Content-Length: 1",)
    last = head("/hot", "POST", *length, *headers) + b"x"
    protocol.data_received(last + head("/size", "POST", "Content-Length: 2") + b"{}" + ONE)
    await until(lambda: wire.closed)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (server.sized, len(server.heard) <= 1, wire.written.count(b"HTTP/1.1 ")) == ([], True, 1)


async def test_a_length_beyond_the_bound_is_refused_before_the_body_comes(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", f"Content-Length: {MAX_BODY_BYTES + 1}"))
    status, headers, _ = await answered(wire)
    assert (status, headers["connection"], wire.closed) == (413, "close", True)


async def test_an_answer_given_up_closes_the_connection_in_silence(server: Server) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    server.awaits = asyncio.get_running_loop().create_future()
    protocol, wire = server.connect()
    protocol.data_received(ONE)
    await until(lambda: server.heard)
    assert not wire.closed
    server.awaits.cancel()
    await until(lambda: wire.closed)
    assert (told, wire.written) == ([], b"")


class Surprise(BaseException):
    """Nothing that anybody catches."""


async def test_a_surprise_closes_the_connection_and_is_told(server: Server) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context.get("exception")))
    server.awaits = asyncio.get_running_loop().create_future()
    protocol, wire = server.connect()
    protocol.data_received(ONE)
    await until(lambda: server.heard)
    surprise = Surprise()
    server.awaits.set_exception(surprise)
    await until(lambda: wire.closed)
    assert (told, wire.written) == ([surprise], b"")


async def test_an_endpoint_may_fail_after_it_has_waited(server: Server) -> None:
    server.awaits = asyncio.get_running_loop().create_future()
    protocol, wire = server.connect()
    protocol.data_received(ONE)
    await until(lambda: server.heard)
    server.awaits.set_exception(ValueError("inside"))
    await answered(wire)
    status, _, body = read(wire)
    assert (status, b"inside" in body, wire.closed) == (500, False, False)


@pytest.mark.parametrize(("trusted", "address"), [("192.0.2.0/24", "198.51.100.7"), ("10.0.0.0/8", "192.0.2.1")])
async def test_a_hot_request_comes_from_where_trusted_proxies_say(trusted: str, address: str) -> None:
    server = Server(proxies=TrustedProxies([ip_network(trusted)], "x-forwarded-for"))
    protocol, wire = server.connect()
    forwarded = "X-Forwarded-For: 203.0.113.9, 198.51.100.7"
    protocol.data_received(head("/hot", "POST", "Content-Length: 1", forwarded) + b"x")
    await answered(wire)
    assert server.heard[0].address == address
