"""Which TCP ports on the loopback interface the stack listens on."""

import itertools
import os
import socket
from contextlib import suppress

from tallystick.stack.errors import StackError

LOOPBACK = "127.0.0.1"

# Below the range from which kernels take ports for outgoing connections (Linux 32768, macOS 49152). From inside that
# range a client's connection could take a port while its owner is being restarted.
_LOWEST, _HIGHEST = 15000, 32000
_SPAN = _HIGHEST - _LOWEST + 1
_TRIES = 200

# Between the choice of a port and its use lie seconds. Two stacks that start at once choose from different places, and
# one process never chooses the same port again soon.
_guesses = itertools.count(os.getpid() * 101)


def free_port(*, taken: frozenset[int] = frozenset()) -> int:
    """Return a port nobody listens on and which is not in `taken`. Raises: StackError when none is found."""
    for _ in range(_TRIES):
        port = _LOWEST + next(_guesses) % _SPAN
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port found between {_LOWEST} and {_HIGHEST} on {LOOPBACK}")


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports."""
    ports: list[int] = []
    while len(ports) < count:
        ports.append(free_port(taken=frozenset(ports)))
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now. Connections still closing (TIME_WAIT) do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def accepts_connections(port: int, *, timeout_seconds: float = 0.2) -> bool:
    """Whether somebody listens on the port now."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout_seconds):
        return True
    return False
