"""Sends one event to one receiver: signed, over a connection to an address that was looked at, within a bound of time.

A name is resolved once per connection, and the connection goes to the very address that was judged: a second look-up
could give another (DNS rebinding). Host header and TLS still name the host. Nothing is followed, nothing of the answer
but its status is kept, and no proxy of the environment is asked.
"""

import asyncio
import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import httpcore2

from services.gateway.domain.public_addresses import is_public
from services.gateway.domain.webhooks import Attempt

_CONNECT_SECONDS: Final = 5.0
_TOTAL_SECONDS: Final = 10.0
_ANSWER_BYTES_MAX: Final = 64 * 1024
_CONNECTIONS_MAX: Final = 100
_IDLE_SECONDS: Final = 30.0


class AddressRefusedError(Exception):
    """The host is, or also is, at an address that no webhook may be sent to."""


class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses only; `allowed_hosts` are reached wherever they are."""

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        """Make an exception of these hosts."""
        self._allowed_hosts = allowed_hosts
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, look at every address, connect to the first that answers. Raises: AddressRefusedError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as failure:
            raise httpcore2.ConnectError(str(failure)) from failure
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if host.lower() not in self._allowed_hosts and not all(is_public(address) for address in addresses):
            raise AddressRefusedError(host)
        for last, address in enumerate(addresses, 1 - len(addresses)):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not last:
                    raise
        raise httpcore2.ConnectError(f"{host} has no address")


class WebhookSender:
    """Posts documents. One for a process; it keeps connections open for receivers that let it."""

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        """Connect to public addresses, and to these hosts."""
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=_CONNECTIONS_MAX,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=PublicNetwork(allowed_hosts),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Send the body and return what came of it; whatever goes wrong is the receiver's to see in his log."""
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                return Attempt(await self._post(url, headers, body), "")
        except AddressRefusedError:
            return Attempt(None, "address_refused")
        except (TimeoutError, httpcore2.TimeoutException):
            return Attempt(None, "timeout")
        except (httpcore2.NetworkError, OSError):
            return Attempt(None, "connection_failed")
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol):
            return Attempt(None, "answer_unreadable")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        timeouts: dict[str, Any] = {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None}
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream(
            "POST", url, headers=sent, content=body, extensions={"timeout": timeouts}
        ) as answer:
            status: int = answer.status
            read = 0
            async for chunk in answer.aiter_stream():
                read += len(chunk)
                if read > _ANSWER_BYTES_MAX:
                    break
        return status
