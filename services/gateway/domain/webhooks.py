"""Webhooks: where what happens is sent to, when it is sent again, and when that ends."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from libs.common.errors import Unprocessable
from services.gateway.domain.public_addresses import is_public

PER_USER_MAX: Final = 10
"""Most webhooks of one user."""
URL_CHARACTERS_MAX: Final = 2_000
OVERLAP_SECONDS_MAX: Final = 7 * 24 * 3600
GIVEN_UP_AFTER: Final = timedelta(days=3)
"""How long one event is tried before its webhook is disabled."""
_PAUSES_SECONDS: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
_LONGEST_REST_SECONDS: Final = 300
_GONE: Final = 410
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9-]{1,63})*\.?")
_PORTS: Final = range(1, 65_536)
# What resolvers take for an IPv4 address in some spelling (WHATWG URL, "ends in a number"), or for the machine itself
# (RFC 6761, 6.3), names no host of the internet.
_NO_NAME: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+|localhost)\.?")

DisabledBecause = Literal["", "by_owner", "gone", "failed_for_three_days", "customer_closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where one user's events are sent to. Secrets are sealed; the earlier one signs too until `earlier_until`.

    Without `event_types` it gets all.
    """

    webhook_id: str
    user_id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    sealed_secret: bytes
    earlier_secret: bytes | None
    earlier_until: datetime | None
    is_enabled: bool
    disabled_because: DisabledBecause
    disabled_at: datetime | None
    created_at: datetime
    changed_at: datetime
    failed_rounds: int = 0

    def secrets_at(self, now: datetime) -> tuple[bytes, ...]:
        """Return the sealed secrets that sign now, the newest first."""
        if self.earlier_secret is None or self.earlier_until is None or self.earlier_until <= now:
            return (self.sealed_secret,)
        return (self.sealed_secret, self.earlier_secret)


class Attempt(NamedTuple):
    """What came of sending one event: the receiver's status, or why there is none."""

    response_status: int | None
    failure: str

    def is_taken(self) -> bool:
        """Tell whether the receiver has it now (Standard Webhooks: any 2xx)."""
        return self.response_status is not None and 200 <= self.response_status < 300  # noqa: PLR2004 -- see above

    def is_gone(self) -> bool:
        """Tell whether the receiver asks never to be called again (Standard Webhooks: 410)."""
        return self.response_status == _GONE


class Delivery(NamedTuple):
    """What came of sending an event so far. `next_attempt_at` is None for one that is not sent any more."""

    position: int
    event_id: str
    type: str
    resource_id: str
    occurred_at: datetime
    status: str
    attempts: int
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    response_status: int | None
    failure: str


def next_attempt_at(attempts: int, first_attempt_at: datetime, now: datetime, spread: float) -> datetime | None:
    """Return when to try again after `attempts` failures, or None to give up; `spread` is 0.9 to 1.1.

    Nine pauses from 5 s to 8 h, the last again and again: some seventeen attempts within three days.
    """
    if now - first_attempt_at >= GIVEN_UP_AFTER:
        return None
    pause = _PAUSES_SECONDS[min(attempts, len(_PAUSES_SECONDS)) - 1]
    return now + timedelta(seconds=pause * spread)


def rest_after(failed_rounds: int) -> timedelta:
    """Return how long a receiver is left alone that took none of several events, so often in a row."""
    return timedelta(seconds=min(5 * 2 ** min(failed_rounds, 10), _LONGEST_REST_SECONDS))


def require_url(url: str, allowed_hosts: Collection[str]) -> None:
    """Let pass a place that events may be sent to, as far as its spelling tells.

    What its name means is looked at whenever something is sent. `allowed_hosts` may be reached without TLS and wherever
    they are. Raises: Unprocessable webhook_url_refused.
    """
    parts = _split(url)
    host = (parts.hostname or "").lower()
    if host in allowed_hosts:
        return
    if parts.scheme != "https":
        raise _refused("Use https.")
    if not _is_public_address(host) and (not _HOST.fullmatch(host) or _NO_NAME.fullmatch(host)):
        raise _refused("Name a host of the public internet, in ASCII.")


def _split(url: str) -> SplitResult:
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or any(not "!" <= character <= "~" for character in url):
        raise _refused(f"Use up to {URL_CHARACTERS_MAX} printable ASCII characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("It cannot be read.") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or (port is not None and port not in _PORTS):
        raise _refused("Use https and a host.")
    if "@" in parts.netloc or "\\" in url or "#" in url:
        raise _refused("Leave out user names, backslashes and fragments.")
    return parts


def _is_public_address(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return False


def _refused(why: str) -> Unprocessable:
    return Unprocessable("webhook_url_refused", f"Events cannot be sent to this URL. {why}")
