"""A door to PostgreSQL for one process, that cuts connections at statements.

It speaks no SQL: it knows where a statement begins and where its answer ends. PostgreSQL's documentation, chapter
"Frontend/Backend Protocol", says what the messages are.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

_STARTUP_LENGTH_BYTES = 4
_HEAD_BYTES = 5
BEGINS_STATEMENT = frozenset({ord("Q"), ord("E")})
"""Query and Execute."""
_READY = ord("Z")
_COPY_IN = ord("G")


class Fate(Enum):
    """What becomes of a message to the server."""

    PASSES = auto()
    NOT_SENT = auto()
    """The connection is cut before the server has it."""
    ANSWER_LOST = auto()
    """The server has done what it says, the commit among it, and the connection is cut before it says so."""


class Fates(Protocol):
    """Decides about one connection's messages."""

    def of(self, message: bytes) -> Fate:
        """Decide about this one, whole as it came; the first is the start-up message, which has no kind."""
        ...


class FailingDatabase:
    """Lends one process its connections. After `die` nothing comes through any more, as when the process is killed."""

    def __init__(self, dsn: str, folder: Path, fates: Callable[[], Fates]) -> None:
        """Stand before the server of this DSN, which is reached by a Unix socket; the door is a socket in `folder`.

        `fates` is asked once for each connection.
        """
        options = parse_qs(urlsplit(dsn).query)
        self._server = Path(options["host"][0]) / f".s.PGSQL.{options['port'][0]}"
        self._folder = folder
        self._fates = fates
        self._connections: set[_Connection] = set()
        self._door: asyncio.Server | None = None
        self.is_alive = True
        self.dies_at: Callable[[str], bool] = lambda _point: False
        """Tells whether the process has just been killed: before a statement is sent, or before its answer comes."""

    def dsn_of(self, dsn: str) -> str:
        """Return the DSN by which a process comes through this door."""
        parts = urlsplit(dsn)
        return urlunsplit(parts._replace(query=urlencode({"host": str(self._folder), "port": "5432"})))

    async def open(self) -> None:
        """Let connections come."""
        self._folder.mkdir()
        self._door = await asyncio.start_unix_server(self._come, self._folder / ".s.PGSQL.5432")

    def die(self) -> None:
        """Cut all of them, and let none come again."""
        self.is_alive = False
        if self._door is not None:
            self._door.close()
        self.cut()

    def cut(self) -> None:
        """Cut all connections there are; new ones may come."""
        for connection in tuple(self._connections):
            connection.cut()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_unix_connection(self._server)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection((reader, writer), server, self._fates(), self.dies_at)
        self._connections.add(connection)
        try:
            if self.is_alive:
                await connection.run()
        finally:
            connection.cut()
            self._connections.discard(connection)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One connection, from the client to the server and back."""

    def __init__(self, client: _Stream, server: _Stream, fates: Fates, dies_at: Callable[[str], bool]) -> None:
        self._client_reader, self._client = client
        self._server_reader, self._server = server
        self._fates = fates
        self._dies_at = dies_at
        self._answer_is_lost = False
        self._kept_back = b""

    async def run(self) -> None:
        """Carry messages until either side ends."""
        directions = [asyncio.ensure_future(self._carry_statements()), asyncio.ensure_future(self._carry_answers())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def cut(self) -> None:
        """End both sides at once."""
        self._client.transport.abort()
        self._server.transport.abort()

    async def _carry_statements(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            length = await self._client_reader.readexactly(_STARTUP_LENGTH_BYTES)
            startup = length + await self._client_reader.readexactly(int.from_bytes(length) - len(length))
            self._fates.of(startup)
            self._server.write(startup)
            while True:
                head = await self._client_reader.readexactly(_HEAD_BYTES)
                rest = await self._client_reader.readexactly(int.from_bytes(head[1:]) - _STARTUP_LENGTH_BYTES)
                if not self._answer_is_lost:
                    if head[0] in BEGINS_STATEMENT and self._dies_at("statement"):
                        return
                    fate = self._fates.of(head + rest)
                    if fate is Fate.NOT_SENT:
                        return
                    self._answer_is_lost = fate is Fate.ANSWER_LOST
                self._server.write(head + rest)

    async def _carry_answers(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._server_reader.readexactly(_HEAD_BYTES)
                message = head + await self._server_reader.readexactly(int.from_bytes(head[1:]) - _STARTUP_LENGTH_BYTES)
                if head[0] == _READY and self._dies_at("answer"):
                    return
                if not self._answer_is_lost:
                    self._client.write(message)
                    continue
                if head[0] == _READY:
                    return
                self._kept_back += message
                if head[0] == _COPY_IN:
                    # The server waits for rows now, and the client for this.
                    self._client.write(self._kept_back)
                    self._kept_back = b""
