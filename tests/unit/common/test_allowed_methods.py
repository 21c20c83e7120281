"""Who asks with a method that a path does not have is told all that it has, not only those of its first route."""

import pytest

from tests.support.http_wire import Server, answered, head


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/headers", {"GET"}),
        ("GET", "/size", {"POST"}),
        ("OPTIONS", "/both", {"GET", "PUT"}),
        ("PUT", "/hot", {"POST"}),
        ("POST", "/health/live", {"GET"}),
    ],
)
async def test_a_refused_method_is_answered_with_those_that_the_path_has(
    method: str, path: str, allowed: set[str]
) -> None:
    protocol, wire = Server().connect()
    protocol.data_received(head(path, method, "Content-Length: 0"))
    status, headers, body = await answered(wire)
    assert (status, set(headers["allow"].split(", "))) == (405, allowed)
    assert b'"code":"method_not_allowed"' in body
