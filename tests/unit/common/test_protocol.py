"""What a connection takes before there is a request, and how long it waits for one."""

import asyncio
import json
from collections.abc import Awaitable

import pytest

from libs.common.http.unreadable import ARRIVAL_SECONDS, MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from tests.support.http_wire import KEEP_ALIVE_SECONDS, LATE, Server, Wire, answered, head, read, until


@pytest.fixture
async def server() -> Server:
    return Server()


def assert_refused(wire: Wire, status: int, code: str) -> None:
    got, headers, body = read(wire)
    document = json.loads(body)
    assert (got, document["status"], document["code"]) == (status, status, code)
    assert document["instance"] == f"urn:tallystick:request:{headers['x-request-id']}"
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert (int(headers["content-length"]), headers["x-content-type-options"]) == (len(body), "nosniff")
    assert wire.ended


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
async def test_what_is_no_http_gets_a_problem_document(server: Server, garbage: bytes) -> None:
    protocol, wire = server.connect()
    protocol.data_received(garbage)
    assert_refused(wire, 400, "malformed_http")


@pytest.mark.parametrize("path", ["/size", "/hot"])
@pytest.mark.parametrize(
    "headers",
    [
        ("Authorization: Bearer a", "authorization: Bearer b"),
        ("Idempotency-Key: a", "Idempotency-Key: a"),
        ("Host: y",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
)
async def test_what_two_servers_would_read_differently_is_refused(
    path: str, headers: tuple[str, ...], server: Server
) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head(path, "POST", *headers) + b"2\r\n{}\r\n0\r\n\r\n")
    status, _, body = await answered(wire)
    assert (status, b'"code":"malformed_http"' in body, server.heard, server.sized) == (400, True, [], [])


@pytest.mark.parametrize("target", ["/size#x", "/size?#dry_run=true", "/hot#", "/hot?a=b#c"])
async def test_a_target_has_no_fragment(target: str, server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head(target, "POST", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n")
    assert_refused(wire, 400, "malformed_http")
    assert (server.heard, server.sized) == ([], [])


@pytest.mark.parametrize("path", ["/headers", "/hot"])
@pytest.mark.parametrize(("version", "is_taken"), [("1.1", False), ("1.0", True)])
async def test_a_request_names_its_host_unless_it_is_older_than_that_rule(
    path: str, version: str, *, is_taken: bool, server: Server
) -> None:
    protocol, wire = server.connect()
    method = "POST" if path == "/hot" else "GET"
    protocol.data_received(f"{method} {path} HTTP/{version}\r\nContent-Length: 0\r\n\r\n".encode())
    if is_taken:
        assert (await answered(wire))[0] == 200
    else:
        assert_refused(wire, 400, "malformed_http")
        assert server.heard == []


async def test_each_request_of_a_connection_names_its_host(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/headers"))
    await answered(wire)
    wire.written = b""
    protocol.data_received(b"GET /headers HTTP/1.1\r\n\r\n")
    assert_refused(wire, 400, "malformed_http")


async def test_two_requests_may_say_the_same(server: Server) -> None:
    protocol, _ = server.connect()
    for _ in range(2):
        protocol.data_received(head("/hot", "POST", "Authorization: Bearer a", "Transfer-Encoding: Chunked"))
        protocol.data_received(b"2\r\n{}\r\n0\r\n\r\n")
    await until(lambda: len(server.heard) == 2)


async def test_garbage_after_an_answer_is_refused_too(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", "Content-Length: 1") + b"x")
    await answered(wire)
    wire.written = b""
    protocol.data_received(b"CONNECT x:1 HTTP/1.1\r\n\r\n")
    assert_refused(wire, 400, "malformed_http")


async def test_a_refusal_is_never_taken_for_the_answer_to_the_request_before(server: Server) -> None:
    server.may_answer.clear()
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", "Content-Length: 1") + b"x" + b"garbage\r\n\r\n")
    server.may_answer.set()
    status, headers, body = await answered(wire)
    assert (status, headers["connection"], body) == (200, "close", b"hot")
    assert wire.closed


async def test_whitespace_around_a_header_is_not_part_of_it(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/headers", "GET", "Authorization:\t Bearer x \t", "X-Empty:"))
    headers = json.loads((await answered(wire))[2])
    assert (headers["authorization"], headers["x-empty"]) == ("Bearer x", "")


@pytest.mark.parametrize("path", ["/hot", "/size"])
async def test_a_length_may_have_whitespace_and_not_thousands_of_digits(server: Server, path: str) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head(path, "POST", "Content-Length: 2 ") + b"xx")
    assert (await answered(wire))[0] == 200
    protocol, wire = server.connect()
    protocol.data_received(head(path, "POST", f"Content-Length: {'0' * 5_000}"))
    await answered(wire)
    assert json.loads(read(wire)[2])["code"] == "body_too_large"


async def test_a_head_at_its_bounds_is_read(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/headers", "GET", *(f"X-{n}: {n}" for n in range(MAX_HEADERS - 1))))
    assert len(json.loads((await answered(wire))[2])) == MAX_HEADERS
    protocol, wire = server.connect()
    big = head("/headers", "GET", f"X: {'x' * (MAX_HEAD_BYTES - 100)}")
    for start in range(0, len(big), 1_000):
        protocol.data_received(big[start : start + 1_000])
    assert (await answered(wire))[0] == 200


@pytest.mark.parametrize(
    "big",
    [
        head("/headers", "GET", *(f"X-{n}: {n}" for n in range(MAX_HEADERS))),
        head("/headers", "GET", f"X: {'x' * MAX_HEAD_BYTES}"),
        head("/headers", "GET", *(f"X: {'x' * 10_000}" for _ in range(7))),
    ],
    ids=["count", "one", "sum"],
)
async def test_a_head_beyond_its_bounds_is_refused(server: Server, big: bytes) -> None:
    protocol, wire = server.connect()
    protocol.data_received(big)
    assert_refused(wire, 431, "headers_too_large")


@pytest.mark.parametrize("piece", [1_000, 3 * MAX_URL_BYTES], ids=["in pieces", "at once"])
async def test_a_url_beyond_its_bound_is_refused(server: Server, piece: int) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/headers?" + "x" * (MAX_URL_BYTES - len("/headers?"))))
    assert (await answered(wire))[0] == 422  # read; this route knows no query
    protocol, wire = server.connect()
    protocol.data_received(b"GET /headers?")
    for _ in range(MAX_URL_BYTES // piece + 1):
        protocol.data_received(b"x" * piece)
    assert_refused(wire, 414, "url_too_long")


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 1_000),
        (b"GET / HTTP/1.1\r\n", b"x" * 1_000),
        (b"", b"\r\n" * 500),
        (b"GET / HTTP/1.1\r\n", b"X: 1\r\n" * 50),
        (head("/size", "POST", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nX: ", b"x" * 1_000),
        (head("/size", "POST", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n", b"X: 1\r\n" * 50),
    ],
    ids=["value", "name", "empty lines", "count", "trailer", "trailers"],
)
async def test_a_large_head_is_noticed_while_it_arrives(server: Server, before: bytes, piece: bytes) -> None:
    protocol, wire = server.connect()
    protocol.data_received(before)
    pieces = 0
    while not wire.ended and pieces < 1_000:
        protocol.data_received(piece)
        pieces += 1
    assert_refused(wire, 431, "headers_too_large")
    assert pieces * len(piece) < 2 * MAX_HEAD_BYTES + 60_000


async def test_who_still_sends_when_refused_can_read_why_before_it_closes(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * MAX_HEAD_BYTES))
    for _ in range(100):
        protocol.data_received(b"x" * MAX_HEAD_BYTES)
    assert_refused(wire, 431, "headers_too_large")
    assert not wire.closed
    server.sweep_after(0)
    assert wire.closed


async def test_a_body_and_the_next_head_in_one_piece_are_no_large_head(server: Server) -> None:
    protocol, _wire = server.connect()
    body = b"x" * (3 * MAX_HEAD_BYTES)
    first = head("/hot", "POST", f"Content-Length: {len(body)}")
    protocol.data_received(first)
    protocol.data_received(body + first[:20])
    protocol.data_received(first[20:] + body)
    await until(lambda: len(server.heard) == 2)
    assert [request.body for request in server.heard] == [body, body]


async def test_a_trailer_is_no_header(server: Server) -> None:
    protocol, wire = server.connect()
    chunked = head("/headers", "GET", "Transfer-Encoding: chunked")
    protocol.data_received(chunked + b"0\r\nAuthorization: Bearer x\r\n\r\n")
    assert "authorization" not in json.loads((await answered(wire))[2])


@pytest.mark.parametrize(
    "half",
    [
        b"G",
        head()[:-2],
        head("/size", "POST", "Content-Length: 2") + b"x",
        head("/hot", "POST", "Content-Length: 2") + b"x",
        head("/hot", "POST", "Transfer-Encoding: chunked") + b"1\r\nx\r\n",
    ],
    ids=["a byte", "a head", "a body", "a hot body", "chunks"],
)
async def test_a_request_that_does_not_arrive_in_time_is_refused(server: Server, half: bytes) -> None:
    protocol, wire = server.connect()
    protocol.data_received(half)
    await asyncio.sleep(0)
    server.sweep_after(ARRIVAL_SECONDS - 1)
    assert not wire.closed
    server.sweep_after(LATE)
    assert_refused(wire, 408, "request_timeout")
    protocol.connection_lost(None)
    await until(lambda: not server.state.tasks)
    assert server.heard == []


async def test_dripping_bytes_buy_no_time(server: Server) -> None:
    protocol, wire = server.connect()
    for byte in head()[:-2]:
        protocol.data_received(bytes([byte]))
    server.sweep_after(LATE)
    assert_refused(wire, 408, "request_timeout")


async def test_a_connection_that_asks_nothing_is_closed_in_silence(server: Server) -> None:
    _, silent = server.connect()
    first, before_its_first = server.connect()
    first.data_received(b"\r\n")
    server.sweep_after(LATE)
    assert [(wire.closed, wire.written) for wire in (silent, before_its_first)] == [(True, b"")] * 2


async def test_who_waits_for_an_answer_is_not_late(server: Server) -> None:
    server.may_answer.clear()
    protocol, wire = server.connect()
    whole = head("/hot", "POST", "Content-Length: 1") + b"x"
    protocol.data_received(whole + whole + whole[:30])
    await until(lambda: server.heard)
    server.sweep_after(LATE)
    assert (wire.closed, wire.written) == (False, b"")
    server.may_answer.set()
    await until(lambda: len(server.heard) == 2)


@pytest.mark.parametrize("path", ["/hot", "/size"])
@pytest.mark.parametrize("idle", [b"", b"\r\n"])
async def test_between_two_requests_a_connection_may_idle_for_as_long_as_it_is_kept_alive(
    server: Server, path: str, idle: bytes
) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head(path, "POST", "Content-Length: 1") + b"x")
    await answered(wire)
    wire.written = b""
    protocol.data_received(idle)
    server.sweep_after(KEEP_ALIVE_SECONDS - 1)
    assert not wire.closed
    server.sweep_after(KEEP_ALIVE_SECONDS + 1)
    assert (wire.closed, wire.written) == (True, b"")


async def test_who_was_answered_before_his_request_ended_may_not_idle_for_ever(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/nowhere", "POST", "Content-Length: 1"))
    await answered(wire)
    protocol.data_received(b"x")
    server.sweep_after(KEEP_ALIVE_SECONDS - 1)
    assert not wire.closed
    server.sweep_after(KEEP_ALIVE_SECONDS + 1)
    assert wire.closed


async def test_who_does_not_take_his_last_answer_is_cut_off(server: Server) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", "Content-Length: 1", "Connection: close") + b"x")
    await answered(wire)
    server.sweep_after(0)
    assert (wire.closed, wire.aborted) == (True, False)
    server.sweep_after(LATE)
    assert wire.aborted


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)])
async def test_half_a_request_reaches_no_endpoint(server: Server, headers: tuple[str, ...]) -> None:
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", "Content-Length: 4", *headers) + b"{}")
    await asyncio.sleep(0)
    wire.closed = True
    protocol.connection_lost(ConnectionResetError())
    await until(lambda: not server.state.tasks)
    assert server.heard == []


async def test_one_sweep_serves_all_connections_of_a_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Awaitable[None] | object] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda *arguments: begun.append(arguments))
    for _ in range(3):
        server.connect()
    assert len(begun) == 1
