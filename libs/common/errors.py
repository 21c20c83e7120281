"""The one tree of errors, and the one table that HTTP, consumers, metrics and documents read.

    TallystickError
    ├── Rejected          the business says no: a refusal is written and the work goes on
    ├── Unauthenticated   nobody we know (401)
    ├── Forbidden         somebody we know who may not (403)
    ├── NotFound          the caller names what does not exist, or what is not theirs to know of
    ├── Conflict          the caller contradicts what is stored
    ├── Malformed         the input cannot be read or is out of bounds
    ├── TooManyRequests   a rate limit; carries `retry_after_seconds`
    ├── Unavailable       may pass: retry with the same input
    └── InvariantBroken   our fault: stop and call somebody

Every error carries a stable `code` (see `docs/errors/`), one plain sentence that says what to do, and facts.
"""

from collections.abc import Sequence
from typing import ClassVar, Final


class TallystickError(Exception):
    """Base of the tree. `code` is stable for ever; `detail` is for people; `facts` are JSON-able values."""

    http_status: ClassVar[int] = 500

    def __init__(self, code: str, detail: str, **facts: object) -> None:
        """Keep the facts; nothing is formatted until somebody asks."""
        super().__init__(code, detail)
        self.code: Final = code
        self.detail: Final = detail
        self.facts: Final = facts

    def __str__(self) -> str:
        """Return `code: detail (facts)` for logs."""
        return f"{self.code}: {self.detail} {self.facts}" if self.facts else f"{self.code}: {self.detail}"


class Rejected(TallystickError):
    """The business says no (insufficient_funds, limit_exceeded …). 422, or 403 for a block by fraud."""

    http_status = 422


class Unauthenticated(TallystickError):
    """No credentials, or none that we accept. 401."""

    http_status = 401


class Forbidden(TallystickError):
    """Known, but not allowed. 403."""

    http_status = 403


class NotFound(TallystickError):
    """Does not exist, or its existence is not the caller's to know. 404."""

    http_status = 404


class Conflict(TallystickError):
    """Contradicts what is stored. 409."""

    http_status = 409


class Malformed(TallystickError):
    """Cannot be read, or out of bounds. 400 by default; 413, 415 and 422 by argument of the subclass."""

    http_status = 400


class Unprocessable(Malformed):
    """Well-formed, but a value is not acceptable (a wrong amount, an unknown asset). 422."""

    http_status = 422


class TooLarge(Malformed):
    """Larger than the bound of this input. 413."""

    http_status = 413


class TooManyRequests(TallystickError):
    """A rate limit was reached; `facts["retry_after_seconds"]` says when to come back. 429.

    `headers` are what the answer says of the limit besides.
    """

    http_status = 429

    def __init__(self, code: str, detail: str, *, headers: Sequence[tuple[bytes, bytes]] = (), **facts: object) -> None:
        """Keep the facts, and the headers apart from them."""
        super().__init__(code, detail, **facts)
        self.headers: Final = headers


class Unavailable(TallystickError):
    """A part we need is away; the same request may succeed later. 503 with Retry-After."""

    http_status = 503


class InvariantBroken(TallystickError):
    """A promise of our own is broken. 500; a consumer stops and nothing is acknowledged."""

    def __init__(self, promise: str, **facts: object) -> None:
        """Carry the broken promise as the detail."""
        super().__init__("invariant_broken", promise, **facts)
