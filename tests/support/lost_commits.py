"""Loses the answer to a commit: PostgreSQL has done it, the connection is cut, and nobody is told."""

import re

from tests.support.failing_database import Fate

_WRITES = re.compile(rb"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


class LostCommits:
    """Waits for a commit on the connections of one name, as often as it is asked to."""

    def __init__(self, application_name: str) -> None:
        """Lose nothing yet. `application_name` is what the connections call themselves."""
        self.mark = b"\0application_name\0%b\0" % application_name.encode()
        self.wanted = 0
        """How many are still to be lost."""
        self.lost = 0

    def fates(self) -> "_OfConnection":
        """Return what decides about a new connection."""
        return _OfConnection(self)

    def take(self) -> bool:
        """Tell whether this commit's answer is to be lost."""
        if self.wanted == 0:
            return False
        self.wanted -= 1
        self.lost += 1
        return True


class _OfConnection:
    """Follows one connection, so far that it knows what commits: COMMIT, or a write outside of any BEGIN."""

    def __init__(self, order: LostCommits) -> None:
        self._order = order
        self._is_meant: bool | None = None
        self._has_begun = False
        self._statements: dict[bytes, bytes] = {}
        self._bound = b""

    def of(self, message: bytes) -> Fate:
        """Decide about one message."""
        if self._is_meant is None:
            self._is_meant = self._order.mark in message
        elif self._is_meant and self._commits(message[:1], message[5:]) and self._order.take():
            return Fate.ANSWER_LOST
        return Fate.PASSES

    def _commits(self, kind: bytes, content: bytes) -> bool:
        if kind == b"P":
            name, statement, _ = content.split(b"\0", 2)
            self._statements[name] = statement
        elif kind == b"B":
            self._bound = content.split(b"\0", 2)[1]
        elif kind == b"E":
            return not self._has_begun and _WRITES.search(self._statements.get(self._bound, b"")) is not None
        elif kind == b"Q":
            return self._commits_at_once(content.strip(b"\0; \n"))
        return False

    def _commits_at_once(self, text: bytes) -> bool:
        had_begun = self._has_begun
        if text.startswith((b"BEGIN", b"COMMIT", b"ROLLBACK")):
            self._has_begun = text.startswith(b"BEGIN")
            return text.startswith(b"COMMIT")
        return not had_begun and _WRITES.search(text) is not None
