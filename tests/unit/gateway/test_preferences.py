"""How long a caller wants to wait (RFC 7240)."""

import pytest

from services.gateway.api.preferences import DEFAULT_WAIT_SECONDS, wait_of


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (None, (DEFAULT_WAIT_SECONDS, None)),
        ("", (DEFAULT_WAIT_SECONDS, None)),
        ("wait=0", (0.0, "wait=0")),
        ("wait=7", (7.0, "wait=7")),
        ("wait=31", (30.0, "wait=30")),
        ("wait=123456", (30.0, "wait=30")),
        ("Wait=7", (7.0, "wait=7")),
        ("respond-async", (0.0, "respond-async")),
        ("Respond-Async", (0.0, "respond-async")),
        ("respond-async, wait=7", (7.0, "wait=7")),
        ("wait=7;x=1, respond-async", (7.0, "wait=7")),
        ("return=minimal, respond-async", (0.0, "respond-async")),
        ("wait=-1", (DEFAULT_WAIT_SECONDS, None)),
        ("wait=1.5", (DEFAULT_WAIT_SECONDS, None)),
        ("wait=soon", (DEFAULT_WAIT_SECONDS, None)),
        ("await=7", (DEFAULT_WAIT_SECONDS, None)),
        ("do-not-respond-async", (DEFAULT_WAIT_SECONDS, None)),
        ("\x00\xff", (DEFAULT_WAIT_SECONDS, None)),
    ],
)
def test_a_preference_is_read_or_ignored(prefer: str | None, expected: tuple[float, str | None]) -> None:
    assert wait_of(prefer) == expected
